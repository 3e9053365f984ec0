"""PGMAN (Zhou et al., IEEE JSTARS 2021)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand
from fusionbench.networks.pansharpening.ucgan import low_pass


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2), nn.BatchNorm2d(outputs)]


def _init(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(channels, channels), nn.ReLU(), *_conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PGMAN(nn.Module):
    """Generator: high passes of MS (at its own scale) and PAN (strided down to it), fused, brought up, added to MS.

    Shapes: lr [N,B,h,w], guide [N,1,4h,4w] -> [N,B,4h,4w]; values in digital numbers, not clipped.

    Raises:
        ConfigError: a ratio other than 4.

    Source: Zhou, Liu, Wang, PGMAN: An Unsupervised Generative Multiadversarial Network for Pansharpening, IEEE JSTARS
    14, 2021.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan") -> None:
        super().__init__()
        if ratio != 4:
            raise ConfigError(f"pgman: the network's strides are made for ratio 4, the data have {ratio}")
        self.grid = grid
        self.ms = nn.Sequential(*_conv(bands, 32, 7), nn.ReLU(), *_conv(32, 64), nn.ReLU(), *_conv(64, 128))
        self.pan = nn.Sequential(*_conv(1, 32, 7), nn.ReLU(), *_conv(32, 64, 3, 2), nn.ReLU(), *_conv(64, 128, 3, 2))
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.ReLU(), _Residual(256)]
        for inputs, outputs in ((256, 128), (128, 64)):
            layers += [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 2, stride=2), nn.BatchNorm2d(outputs)]
        self.trunk = nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(64, bands, 7, padding=3))
        _init(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        features = [self.ms(lr - low_pass(lr)), self.pan(guide - low_pass(guide))]
        return expand(lr, 4, self.grid) + self.trunk(torch.cat(features, dim=1))


class PGMANCritic(nn.Module):
    """Patch critic without normalisation, of the bands or of their mean.

    Shapes: image [N,C,H,W] -> scores [N,1,..]. ``intensity``: judge the mean over the bands, by one stride more.
    """

    def __init__(self, bands: int, intensity: bool = False) -> None:
        super().__init__()
        self.intensity = intensity
        widths, strided = ((1, 64, 128, 256, 512), 3) if intensity else ((bands, 64, 128, 256), 2)
        layers: list[nn.Module] = []
        for depth, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2 if depth < strided else 1, padding=1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))
        _init(self)

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image.mean(dim=1, keepdim=True) if self.intensity else image)
