"""ZeRGAN (Diao et al., IEEE TNNLS 2022)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from fusionbench.imaging import imresize


def block(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 on reflected borders, the image's own normalisation (batch norm of one image), LReLU 0.2."""
    return nn.Sequential(
        nn.ReflectionPad2d(1),
        nn.Conv2d(inputs, outputs, 3),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.LeakyReLU(0.2),
    )


def _init(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.InstanceNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def stage_width(stage: int) -> int:
    """32, 32, then 64 channels."""
    return min(32 * 2 ** (stage // 2), 64)


class ZeRGANStage(nn.Module):
    """Generator of one scale: five densely connected layers.

    Shapes: guide [N,1,H,W] and ms [N,B,H,W] of the same size, in [-1, 1] -> [N,B,H,W], linear.
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block(bands + 1 + depth * width, width) for depth in range(4))
        self.last = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(bands + 1 + 4 * width, bands, 3))
        _init(self)

    def forward(self, guide: Tensor, ms: Tensor) -> Tensor:
        stack = torch.cat([guide, ms], dim=1)
        for layer in self.blocks:
            stack = torch.cat([stack, layer(stack)], dim=1)
        return self.last(stack)


class ZeRGAN(nn.Module):
    """A pyramid of generators from the MS scale to the PAN scale, each trained in turn on the one pair to be fused.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; any values from 0. Each image is divided by its
    own maximum and mapped to [-1, 1]; the result is clamped to that range and mapped back by the maximum of MS.

    Args:
        bands: of MS.
        ratio: PAN pixels per MS pixel; scale c of S has ratio^((c + 1) / S) times the MS size, rounded up.
        scales: number of stages (published 4).

    Source: Diao et al., ZeRGAN: Zero-Reference GAN for Fusion of Multispectral and Panchromatic Images, IEEE TNNLS,
    2022.
    """

    tileable = False

    def __init__(self, bands: int, ratio: int = 4, scales: int = 4) -> None:
        super().__init__()
        self.ratio, self.scales = ratio, scales
        self.stages = nn.ModuleList(ZeRGANStage(bands, stage_width(stage)) for stage in range(scales))

    def size(self, stage: int, guide: Tensor) -> tuple[int, int]:
        """Rows and columns of a stage's images; the last stage has those of the guide."""
        share = self.ratio ** ((stage + 1) / self.scales - 1)
        rows, columns = (math.ceil(round(side * share, 6)) for side in guide.shape[-2:])
        return rows, columns

    @staticmethod
    def to_range(x: Tensor) -> Tensor:
        """An image of values from 0, divided by its maximum (over all bands), to [-1, 1]."""
        return (2 * x / _peak(x) - 1).clamp(-1, 1)

    def inputs(self, stage: int, previous: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """PAN and MS as a stage sees them: ``previous`` result (stage 0: MS) and full PAN, in [-1, 1], resized."""
        size = self.size(stage, guide)
        return resize(guide, size), resize(previous, size)

    def run(self, stage: int, previous: Tensor, guide: Tensor) -> Tensor:
        """A stage's result [N,B,rows,columns], linear."""
        return cast(Tensor, self.stages[stage](*self.inputs(stage, previous, guide)))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        x, pan = self.to_range(lr), self.to_range(guide)
        for stage in range(self.scales):
            x = self.run(stage, x, pan)
        return (x.clamp(-1, 1) + 1) / 2 * _peak(lr)


def _peak(x: Tensor) -> Tensor:
    return x.amax(dim=(-3, -2, -1), keepdim=True).clamp_min(1e-12)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear between pixel centres, no antialiasing; [N,C,H,W] -> [N,C,*size]."""
    return imresize(x, size, method="bilinear", antialias=False)


class ZeRGANCritics(nn.Module):
    """One patch critic per scale, of the mean over the bands (or of PAN).

    Shapes: image [N,C,H,W] -> scores [N,1,H+2,W+2] of the critic of ``stage``.
    """

    def __init__(self, scales: int = 4) -> None:
        super().__init__()
        self.stages = nn.ModuleList(self._critic(stage_width(stage)) for stage in range(scales))

    @staticmethod
    def _critic(width: int) -> nn.Sequential:
        layers = [block(1, width), *(block(width, width) for _ in range(3))]
        critic = nn.Sequential(*layers, nn.ReflectionPad2d(1), nn.Conv2d(width, 1, 3, padding=1))
        _init(critic)
        return critic

    def forward(self, image: Tensor, stage: int) -> Tensor:
        return cast(Tensor, self.stages[stage](image.mean(dim=1, keepdim=True)))
