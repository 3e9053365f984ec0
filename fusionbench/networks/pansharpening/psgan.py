"""PSGAN, FU-PSGAN and ST-PSGAN (Liu et al., IEEE TGRS 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks import SameConv2d, init_normal, pad_to_multiple
from fusionbench.networks.blocks.resampling import enlarge, first_sample

VARIANTS = ("psgan", "fu_psgan", "st_psgan")


def act(*parts: Tensor) -> Tensor:
    """LReLU 0.2 of the concatenation: these networks activate the input of a layer."""
    return leaky_relu(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0], 0.2)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> SameConv2d:
    return SameConv2d(inputs, outputs, kernel, stride, bias=False)


def double(inputs: int, outputs: int, factor: int = 2) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, factor, stride=factor, bias=False)


class PSGAN(nn.Module):
    """Generator: PAN and MS streams, fused at half resolution, a U-shaped reconstruction; output never negative.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values in digital numbers.
    ``variant``: psgan | fu_psgan (MS enlarged inside the network) | st_psgan (one stream of MS and PAN).
    MS is enlarged bilinearly as published. Sides that are no multiple of 4 are continued by replication and cut back.

    Raises:
        ConfigError: unknown variant.

    Source: Liu et al., PSGAN: A Generative Adversarial Network for Remote Sensing Image Pan-Sharpening,
    IEEE TGRS 59(12), 2021.
    """

    size_multiple = 4  # guide px; two strides of 2

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", variant: str = "psgan") -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ConfigError(f"psgan: variant={variant!r} is unknown; choose one of {', '.join(VARIANTS)}")
        self.ratio, self.grid, self.variant = ratio, grid, variant
        if variant == "st_psgan":
            self.s1, self.s2, self.s3 = conv(bands + 1, 32), conv(32, 32), conv(32, 64, 2, 2)
        else:
            late = variant == "fu_psgan"
            self.a1, self.a2, self.a3 = conv(1 if late else bands, 32), conv(32, 32), conv(32, 64, 2, 2)
            self.b1 = conv(bands if late else 1, 32)
            self.b2 = double(32, 32, ratio) if late else conv(32, 32)
            self.b3 = conv(32, 64, 2, 2)
        streams = 1 if variant == "st_psgan" else 2
        self.e4, self.e5, self.e6 = conv(64 * streams, 128), conv(128, 128), conv(128, 256, 3, 2)
        self.d7, self.d8, self.d9 = conv(256, 256, 1), conv(256, 256), double(256, 128)
        self.d10, self.d11 = conv(256, 128), double(128, 128)
        self.d12, self.d13 = conv(128 + 32 * streams, 64), conv(64, bands)
        init_normal(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        full, half = self._streams(lr, guide)
        e5 = self.e5(act(self.e4(act(half))))
        d9 = self.d9(act(self.d8(act(self.d7(act(self.e6(act(e5))))))))
        d11 = self.d11(act(self.d10(act(d9, e5))))
        fused = relu(self.d13(act(self.d12(act(d11, full)))))
        return fused[..., : guide.shape[-2], : guide.shape[-1]]

    def _streams(self, lr: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Features of both images at full and at half resolution."""
        if self.variant == "fu_psgan":
            unit = math.lcm(self.size_multiple, self.ratio)
            a, b = pad_to_multiple(guide, unit), pad_to_multiple(lr, unit // self.ratio)
        else:
            lms = enlarge(lr, self.ratio, first_sample(self.ratio, self.grid), "bilinear")
            a, b = pad_to_multiple(lms, self.size_multiple), pad_to_multiple(guide, self.size_multiple)
        if self.variant == "st_psgan":
            s2 = self.s2(act(self.s1(torch.cat([a, b], dim=1))))
            return s2, self.s3(act(s2))
        a2, b2 = self.a2(act(self.a1(a))), self.b2(act(self.b1(b)))
        return torch.cat([b2, a2], dim=1), torch.cat([self.b3(act(b2)), self.a3(act(a2))], dim=1)


def patch_critic(channels: int) -> nn.Sequential:
    """Five 3x3 convolutions, three of them at stride 2: [N,C,H,W] -> scores (logits) [N,1,H/8,W/8]."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((channels, 32, 2), (32, 64, 2), (64, 128, 2), (128, 256, 1)):
        layers += [conv(inputs, outputs, 3, stride), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, conv(256, 1))


class PSGANDiscriminator(nn.Module):
    """Patch discriminator of an image given the enlarged MS; the sigmoid is left to the objective.

    Shapes: lr [N,B,h,w], image [N,B,H,W] -> logits [N,1,H/8,W/8].
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan") -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.body = patch_critic(2 * bands)
        init_normal(self)

    def forward(self, lr: Tensor, image: Tensor) -> Tensor:
        lms = enlarge(lr, self.ratio, first_sample(self.ratio, self.grid), "bilinear")
        return self.body(torch.cat([lms, image], dim=1))
