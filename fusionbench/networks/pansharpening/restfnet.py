"""ResTFNet, the residual form of TFNet (Liu et al., Information Fusion 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusionbench.imaging import expand
from fusionbench.networks.blocks import pad_to_multiple
from fusionbench.networks.pansharpening.tfnet import conv, double, halve, init_published


class _Block(nn.Module):
    """conv, BN, PReLU, conv, BN, plus the input, and the same PReLU again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x))))))


def _entry(inputs: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, 32), nn.PReLU(), _Block(32))


class ResTFNet(nn.Module):
    """ResTFNet: TFNet's two streams with residual blocks (batch normalisation) in place of pairs of convolutions.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values in [-1, 1].
    Sides that are no multiple of 4 are continued by replication and cut back.

    Args:
        skips: TFNet's skip concatenations, as the paper draws them; the public network has none. Widths are ours.

    Source: Liu, Liu, Wang, Remote Sensing Image Fusion Based on Two-Stream Fusion Network, Information Fusion 55, 2020.
    """

    size_multiple = 4  # guide px; two strides of 2

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", skips: bool = False) -> None:
        super().__init__()
        self.ratio, self.grid, self.skips = ratio, grid, skips
        wide = 2 if skips else 1
        self.encoder1_pan = _entry(1)
        self.encoder2_pan = halve(32, 64)
        self.encoder1_lr = _entry(bands)
        self.encoder2_lr = halve(32, 64)
        self.fusion1 = _Block(128)
        self.fusion2 = halve(128, 256)
        self.restore1 = nn.Sequential(_Block(256), *double(256, 128))
        self.restore2 = nn.Sequential(_Block(128 * wide), *double(128 * wide, 64))
        self.restore3 = nn.Sequential(_Block(64 * wide), conv(64 * wide, bands), nn.Tanh())
        init_published(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = pad_to_multiple(expand(lr, self.ratio, self.grid), self.size_multiple)
        pan1 = self.encoder1_pan(pad_to_multiple(guide, self.size_multiple))
        lr1 = self.encoder1_lr(lms)
        fused1 = self.fusion1(torch.cat([self.encoder2_lr(lr1), self.encoder2_pan(pan1)], dim=1))
        x = self.restore1(self.fusion2(fused1))
        x = self.restore2(torch.cat([x, fused1], dim=1) if self.skips else x)
        x = self.restore3(torch.cat([x, lr1, pan1], dim=1) if self.skips else x)
        return x[..., : guide.shape[-2], : guide.shape[-1]]
