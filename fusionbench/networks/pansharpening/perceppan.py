"""PercepPan (Zhou et al., Remote Sensing 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks.resampling import first_sample, reduce

# gains at Nyquist and weights of the bands in PAN: blue, green, red, NIR
PAN_WEIGHTS = {"quickbird": (0.1139, 0.2315, 0.2308, 0.4239), "ikonos": (0.1071, 0.2646, 0.2696, 0.3587)}


def _init(module: nn.Module, scale: float) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data *= scale
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class _Dense(nn.Module):
    """Five densely connected convolutions, growth 32; 0.2 times the result is added to the input."""

    def __init__(self, channels: int = 64, growth: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels + i * growth, growth if i < 4 else channels) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        stack = x
        for layer in list(self.convs)[:4]:
            stack = torch.cat([stack, leaky_relu(layer(stack), 0.2)], dim=1)
        return x + 0.2 * self.convs[4](stack)


class _RRDB(nn.Sequential):
    """Three dense blocks; 0.2 times the result is added to the input."""

    def __init__(self) -> None:
        super().__init__(_Dense(), _Dense(), _Dense())

    def forward(self, input: Tensor) -> Tensor:
        return input + 0.2 * super().forward(input)


class PercepPan(nn.Module):
    """Generator: a super-resolution network (RRDB) gives mean and deviation of every band; PAN enters as their product.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.
    ``ratio``: a power of two, nearest-neighbour doublings. The published network has 23 ``blocks``.

    Raises:
        ConfigError: the ratio is no power of two.

    Source: Zhou et al., PercepPan: Towards Unsupervised Pan-Sharpening Based on Perceptual Loss, Remote Sensing 12(14),
    2020.
    """

    def __init__(self, bands: int, ratio: int = 4, blocks: int = 23) -> None:
        super().__init__()
        if ratio < 2 or ratio & (ratio - 1):
            raise ConfigError(f"perceppan: ratio={ratio}; the network doubles, give a power of two")
        self.first = conv(bands, 64)
        self.trunk = nn.Sequential(*(_RRDB() for _ in range(blocks)), conv(64, 64))
        self.doublings = nn.ModuleList(conv(64, 64) for _ in range(ratio.bit_length() - 1))
        self.high = conv(64, 64)
        self.last = conv(64, 2 * bands)
        _init(self, 0.1)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        x = self.first(lr)
        x = x + self.trunk(x)
        for layer in self.doublings:
            x = leaky_relu(layer(interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        mean, deviation = self.last(leaky_relu(self.high(x), 0.2)).chunk(2, dim=1)
        return deviation * guide + mean


class PercepPanReconstructor(nn.Module):
    """The fixed way back: MS as the blurred, shrunk image, PAN as a weighted sum of its bands.

    Shapes: output [N,B,H,W] -> dict of lr_rebuilt [N,B,h,w] and guide_rebuilt [N,1,H,W].
    Its values are never trained. The blur is 3x3 px of deviation 1 / (2 pi gain), as published: narrower than an MTF.

    Args:
        bands: of MS.
        gains: at Nyquist, one per band.
        weights: of the bands in PAN; ``quickbird`` or ``ikonos`` for the published ones, None for equal ones.
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.

    Raises:
        ConfigError: not as many gains or weights as bands.
    """

    def __init__(
        self,
        bands: int,
        gains: Sequence[float],
        weights: Sequence[float] | str | None = None,
        ratio: int = 4,
        grid: str = "dlpan",
    ) -> None:
        super().__init__()
        if isinstance(weights, str) and weights not in PAN_WEIGHTS:
            raise ConfigError(f"perceppan: weights={weights!r}; a list, or one of {', '.join(PAN_WEIGHTS)}")
        values = PAN_WEIGHTS[weights] if isinstance(weights, str) else weights or [1 / bands] * bands
        if len(gains) != bands or len(values) != bands:
            raise ConfigError(
                f"perceppan: {len(gains)} gains and {len(values)} weights for {bands} bands; one per band"
            )
        self.ratio, self.grid = ratio, grid
        offset = torch.arange(-1, 2, dtype=torch.float32)
        kernels = []
        for gain in gains:
            line = torch.exp(-(offset**2) / 2 * (2 * math.pi * gain) ** 2)
            kernels.append(torch.outer(line, line) / line.sum() ** 2)
        self.blur = nn.Parameter(torch.stack(kernels)[:, None], requires_grad=False)
        self.combine = nn.Parameter(torch.tensor(values, dtype=torch.float32).view(1, bands, 1, 1), requires_grad=False)

    def forward(self, output: Tensor) -> dict[str, Tensor]:
        blurred = conv2d(output, self.blur, padding=1, groups=output.shape[1])
        rebuilt = reduce(blurred, self.ratio, first_sample(self.ratio, self.grid))
        return {"lr_rebuilt": rebuilt, "guide_rebuilt": conv2d(output, self.combine)}


class PercepPanDiscriminator(nn.Module):
    """Discriminator of a pair of MS and PAN; its joint features also serve the perceptual loss.

    Shapes: lr [N,B,h,w], guide [N,1,4h,4w] -> logits [N,1]; ``features`` -> [N,64,h,w].
    ``patch``: side of the training patches in guide px, a multiple of 64 (published 256): the last layers are dense.

    Raises:
        ConfigError: another patch or ratio.
    """

    def __init__(self, bands: int, patch: int = 256, ratio: int = 4) -> None:
        super().__init__()
        if ratio != 4:
            raise ConfigError(f"perceppan: the discriminator is made for ratio 4, the data have {ratio}")
        if patch < 64 or patch % 64:
            raise ConfigError(f"data.patch={patch}: the discriminator of perceppan needs a multiple of 64 px")

        def block(inputs: int, outputs: int, kernel: int = 3, norm: bool = True) -> list[nn.Module]:
            stride = 2 if kernel == 4 else 1
            layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=1)]
            return [*layers, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)] if norm else [*layers, nn.LeakyReLU(0.2)]

        self.ms = nn.Sequential(*block(bands, 32, norm=False), *block(32, 32))
        self.pan = nn.Sequential(*block(1, 16, norm=False), *block(16, 16, 4), *block(16, 32), *block(32, 32, 4))
        self.fuse = nn.Sequential(*block(64, 64, norm=False))
        widths = (64, 128, 256, 512)
        head = [
            layer for i in range(3) for layer in (*block(widths[i], widths[i], 4), *block(widths[i], widths[i + 1]))
        ]
        self.head = nn.Sequential(*head, *block(512, 512, 4))
        cells = (patch // 64) ** 2
        self.classify = nn.Sequential(nn.Linear(512 * cells, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))
        _init(self, 1.0)

    def features(self, lr: Tensor, guide: Tensor) -> Tensor:
        return self.fuse(torch.cat([self.ms(lr), self.pan(guide)], dim=1))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        return self.classify(self.head(self.features(lr, guide)).flatten(1))
