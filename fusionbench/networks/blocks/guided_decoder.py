"""The guided deep decoder: a small random code grows into an image, gated at each scale by features of the guide."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pad

SCALES = 5


class ImageNorm(nn.InstanceNorm2d):
    """Batch norm with the statistics of each image itself, as published for a batch of one.

    A channel of one pixel has no variance: it becomes the bias.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-2:] != (1, 1):
            return super().forward(input)
        flat = input - input
        return flat if self.bias is None else flat * self.weight[:, None, None] + self.bias[:, None, None]


class _Reflecting(nn.Conv2d):
    """3x3 on reflected borders; an axis of one pixel, which has nothing to reflect, is replicated."""

    def forward(self, input: Tensor) -> Tensor:
        mode = "reflect" if min(input.shape[-2:]) > 1 else "replicate"
        return super().forward(pad(input, (1, 1, 1, 1), mode=mode))


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return (nn.Conv2d if kernel == 1 else _Reflecting)(inputs, outputs, kernel, stride)


def _layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, kernel, stride), ImageNorm(outputs, affine=True), nn.LeakyReLU(0.2))


class _Refinement(nn.Module):
    """Features gated by the guide's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = _conv(channels, channels, 1)
        self.conv = _conv(channels, channels, 1)
        self.norm = ImageNorm(channels, affine=True)

    def forward(self, guide: Tensor, x: Tensor) -> Tensor:
        gate = leaky_relu(self.gate(guide), 0.2).sigmoid()
        return leaky_relu(self.norm(self.conv(x)) * gate, 0.2)


class _Upsampling(nn.Module):
    """Features enlarged to the guide's size and gated by it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ImageNorm(channels)
        self.gate = _conv(channels, channels, 1)

    def forward(self, guide: Tensor, x: Tensor) -> Tensor:
        gate = leaky_relu(self.gate(guide), 0.2).sigmoid()
        return self.norm(_resized(x, guide)) * gate


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class GuidedDecoder(nn.Module):
    """Guided deep decoder.

    Shapes: guide [N,b,H,W] and a code [N,B,ceil(H/32),ceil(W/32)] -> [N,B,H,W], linear.

    Args:
        bands: B.
        guide_bands: b.
        channels: of all features.
        separate: layers of its own for each scale where the guide gates (upsampling, decoder of the guide's features);
            else one for all scales.

    Source: Uezato, Hong, Yokoya, He, Guided Deep Decoder: Unsupervised Image Pair Fusion, ECCV 2020; without the layers
    that the public code builds and never uses.
    """

    tileable = False

    def __init__(self, bands: int, guide_bands: int, channels: int = 64, separate: bool = False) -> None:
        super().__init__()
        self.bands = bands
        self.fru = _Refinement(channels)
        self.uru = nn.ModuleList(_Upsampling(channels) for _ in range(SCALES if separate else 1))
        self.guide_enc = _layer(guide_bands, channels)
        self.enc = nn.Sequential(*_layer(channels, channels, stride=2), *_layer(channels, channels))
        self.lat = _layer(channels, channels, 1)
        self.dc_conv = _layer(channels, channels)
        self.dc1 = _layer(channels, channels)
        self.dc_up = nn.ModuleList(_layer(2 * channels, channels) for _ in range(SCALES - 1 if separate else 1))
        self.enc_code = _layer(bands, channels, 1)
        self.output = _conv(channels, bands, 1)
        self._code_seed = int(torch.randint(2**31, ()))

    def code(self, guide: Tensor) -> Tensor:
        """The network's random code for images of this size, uniform in [0, 0.1]."""
        rows, columns = (-(-side // 2**SCALES) for side in guide.shape[-2:])
        generator = torch.Generator().manual_seed(self._code_seed)
        code = torch.rand(1, self.bands, rows, columns, generator=generator) * 0.1
        return code.to(guide).expand(guide.shape[0], -1, -1, -1)

    def decode(self, guide: Tensor, code: Tensor) -> Tensor:
        """The image for a code, perhaps with noise on it."""
        features = [self.guide_enc(guide)]
        for _ in range(SCALES):
            features.append(self.enc(features[-1]))
        decoded = [self.dc1(_resized(features[-1], features[-2]))]
        for scale, feature in enumerate(reversed(features[:-2])):
            known = torch.cat([self.lat(features[SCALES - len(decoded)]), decoded[-1]], dim=1)
            decoded.append(self.dc_up[scale % len(self.dc_up)](_resized(known, feature)))
        x = self.fru(features[-1], self.enc_code(code))
        for scale, (feature, gate) in enumerate(zip(reversed(features[:-1]), decoded, strict=True)):
            x = self.fru(gate, self.dc_conv(self.uru[scale % len(self.uru)](feature, x)))
        return cast(Tensor, self.output(x))
