"""GDD (Uezato et al., ECCV 2020) in its pansharpening form: the guided decoder, and how it is fitted to a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pad

from fusionbench.imaging import imresize
from fusionbench.networks.fitting import SceneFit, Snapshots, Stage, Update

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


class GDD(nn.Module):
    """Guided deep decoder: a small random code grows into the fused image, gated at each scale by features of PAN.

    Shapes: lr [N,B,h,w] (not looked at: MS enters by the loss), guide [N,1,H,W] -> output [N,B,H,W] and, mixed by a
    learned B x B matrix, mixture [N,B,H,W]; values scaled to [0, 1], not clipped.

    Args:
        bands: of MS.
        channels: of all features.

    Source: Uezato, Hong, Yokoya, He, Guided Deep Decoder: Unsupervised Image Pair Fusion, ECCV 2020; without the layers
    that the public code builds and never uses.
    """

    tileable = False

    def __init__(self, bands: int, channels: int = 64) -> None:
        super().__init__()
        self.bands = bands
        self.fru = _Refinement(channels)
        self.uru = nn.ModuleList(_Upsampling(channels) for _ in range(SCALES))
        self.guide_enc = _layer(1, channels)
        self.enc = nn.Sequential(*_layer(channels, channels, stride=2), *_layer(channels, channels))
        self.lat = _layer(channels, channels, 1)
        self.dc_conv = _layer(channels, channels)
        self.dc1 = _layer(channels, channels)
        self.dc_up = nn.ModuleList(_layer(2 * channels, channels) for _ in range(SCALES - 1))
        self.enc_code = _layer(bands, channels, 1)
        self.output = _conv(channels, bands, 1)
        self.mixing = nn.Parameter(torch.diag(torch.randn(bands)))
        self._code_seed = int(torch.randint(2**31, ()))

    def code(self, guide: Tensor) -> Tensor:
        """The network's random code for images of this size, [N,B,ceil(H/32),ceil(W/32)], uniform in [0, 0.1]."""
        rows, columns = (-(-side // 2**SCALES) for side in guide.shape[-2:])
        generator = torch.Generator().manual_seed(self._code_seed)
        code = torch.rand(1, self.bands, rows, columns, generator=generator) * 0.1
        return code.to(guide).expand(guide.shape[0], -1, -1, -1)

    def forward(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        return self.decode(guide, self.code(guide))

    def decode(self, guide: Tensor, code: Tensor) -> dict[str, Tensor]:
        """Outputs for a code, perhaps with noise on it."""
        features = [self.guide_enc(guide)]
        for _ in range(SCALES):
            features.append(self.enc(features[-1]))
        decoded = [self.dc1(_resized(features[-1], features[-2]))]
        for layer, feature in zip(self.dc_up, reversed(features[:-2]), strict=True):
            known = torch.cat([self.lat(features[SCALES - len(decoded)]), decoded[-1]], dim=1)
            decoded.append(layer(_resized(known, feature)))
        x = self.fru(features[-1], self.enc_code(code))
        for upsampling, feature, gate in zip(self.uru, reversed(features[:-1]), decoded, strict=True):
            x = self.fru(gate, self.dc_conv(upsampling(feature, x)))
        output = self.output(x)
        return {"output": output, "mixture": torch.einsum("nbhw,bc->nchw", output, self.mixing)}


class GDDFit(SceneFit):
    """Fits the weights to the pair; a loss that leaps takes them ten steps back.

    Args:
        steps: of Adam (published 8001).
        rate: of Adam.
        noise: deviation of what is added to the code, anew at each step.
        weight: of the spectral term: 10 at reduced, 100 at full resolution as published; one for both here.
        leap: by how much the loss may lie above its mean of the steps before.
        settle: recorded steps before the guard watches.
        repeat: steps after going back that are not recorded.
    """

    BACK, KEPT, MEAN = 10, 51, (40, 20)

    def __init__(
        self,
        steps: int = 8001,
        rate: float = 0.01,
        noise: float = 0.01,
        weight: float = 10.0,
        leap: float = 0.1,
        settle: int = 1000,
        repeat: int = 150,
    ) -> None:
        self.steps, self.rate, self.noise, self.weight = steps, rate, noise, weight
        self.leap, self.settle, self.repeat = leap, settle, repeat

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Draw the code."""
        super().start(network, inputs, facts)
        self.decoder = cast(GDD, network)
        self.still = self.decoder.code(inputs["guide"])
        self.code = self.still
        self.recorded: list[float] = []  # losses of the steps that count
        self.back: int | None = None  # where to continue counting after a leap
        self.skip = 0
        self.snapshots = Snapshots(network, self.KEPT)

    def stages(self) -> Sequence[Stage]:
        """One."""
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=self.rate)
        return [Stage("fit", self.steps, self._step, adjust=self._guard)]

    def _step(self, step: int) -> Iterator[Update]:
        self.code = self.still + self.noise * torch.randn_like(self.still)
        found = self.decoder.decode(self.inputs["guide"], self.code)
        terms = self.terms(found["output"], found["mixture"])
        yield Update(self.optimizer, sum(terms.values(), torch.zeros_like(terms["spectral"])), terms)

    def terms(self, output: Tensor, mixture: Tensor) -> dict[str, Tensor]:
        """MS against the reduced result, and the total variation of what the mixture leaves of PAN; weighted."""
        lr, guide = self.inputs["lr"], self.inputs["guide"]
        low = imresize(output, (lr.shape[-2], lr.shape[-1]))
        left = mixture - guide
        variation = left.diff(dim=-2).square().sum() + left.diff(dim=-1).square().sum()
        return {"spectral": self.weight * (low - lr).square().mean(), "detail": variation / left.numel()}

    def _guard(self, update: Update) -> None:
        """Record the weights and the loss, or go back; the optimiser moves on with the gradient it has."""
        loss, count = float(update.loss.detach()), len(self.recorded)
        first, last = self.MEAN
        mean = sum(self.recorded[-first:-last]) / (first - last) if count > first else 0.0
        if count > self.settle and loss - mean > self.leap:
            if self.back is None:
                self.back, self.skip = max(count - self.BACK, self.snapshots.oldest), self.repeat
            self.snapshots.restore(self.back)
            return
        if self.back is not None:
            del self.recorded[self.back :]
            self.back = None
        if self.skip > 0:
            self.skip -= 1
            return
        self.snapshots.save(len(self.recorded))
        self.recorded.append(loss)

    def result(self) -> Tensor:
        """Of the last noisy code."""
        return self.decoder.decode(self.inputs["guide"], self.code)["output"]
