"""DRPNN (Wei et al., IEEE GRSL 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.imaging import expand


class _Layer(nn.Module):
    """7x7 conv and ReLU, under the name that the published weights use."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv2 = nn.Conv2d(channels, channels, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.conv2(x))


class DRPNN(nn.Module):
    """DRPNN: eleven 7x7 convolutions learn the residual of the whole (MS, PAN) stack, the last maps it to the bands.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.

    Source: Wei et al., Boosting the Accuracy of Multispectral Image Pansharpening by Learning a Deep Residual
    Network, IEEE GRSL 14(10), 2017.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", width: int = 32, depth: int = 8) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.conv1 = nn.Conv2d(bands + 1, width, 7, padding=3)
        self.conv2 = nn.Conv2d(width, bands + 1, 7, padding=3)
        self.conv3 = nn.Conv2d(bands + 1, bands, 7, padding=3)
        self.backbone = nn.Sequential(*(_Layer(width) for _ in range(depth)))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        stack = torch.cat([expand(lr, self.ratio, self.grid), guide], dim=1)
        residual = self.conv2(self.backbone(relu(self.conv1(stack))))
        return self.conv3(stack + residual)
