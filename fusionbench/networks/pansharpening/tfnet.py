"""TFNet (Liu et al., Information Fusion 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fusionbench.imaging import expand
from fusionbench.networks.blocks import pad_to_multiple


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3, size kept."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def halve(inputs: int, outputs: int) -> nn.Sequential:
    """[N,C,H,W] -> [N,outputs,H/2,W/2]."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 2, stride=2), nn.PReLU())


def double(inputs: int, outputs: int) -> nn.Sequential:
    """[N,C,H,W] -> [N,outputs,2H,2W]."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, stride=2), nn.PReLU())


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs), nn.PReLU(), conv(outputs, outputs), nn.PReLU())


def init_published(module: nn.Module) -> None:
    """Normal(0, sqrt(2 / (k k out))) and zero bias for every Conv2d; the rest as PyTorch does it."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.weight[0, 0].numel() * layer.out_channels)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class TFNet(nn.Module):
    """TFNet: PAN and MS are encoded apart, fused at half and quarter resolution, restored with U-Net skips.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values in [-1, 1].
    Sides that are no multiple of 4 are continued by replication and cut back.

    Source: Liu, Liu, Wang, Remote Sensing Image Fusion Based on Two-Stream Fusion Network, Information Fusion 55, 2020.
    """

    size_multiple = 4  # guide px; two strides of 2

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan") -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.encoder1_pan = _pair(1, 32)
        self.encoder2_pan = halve(32, 64)
        self.encoder1_lr = _pair(bands, 32)
        self.encoder2_lr = halve(32, 64)
        self.fusion1 = _pair(128, 128)
        self.fusion2 = halve(128, 256)
        self.restore1 = nn.Sequential(*_pair(256, 256), *double(256, 128))
        self.restore2 = nn.Sequential(*_pair(256, 128), *double(128, 64))
        self.restore3 = nn.Sequential(*_pair(128, 64), conv(64, bands), nn.Tanh())
        init_published(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = pad_to_multiple(expand(lr, self.ratio, self.grid), self.size_multiple)
        pan1 = self.encoder1_pan(pad_to_multiple(guide, self.size_multiple))
        lr1 = self.encoder1_lr(lms)
        fused1 = self.fusion1(torch.cat([self.encoder2_pan(pan1), self.encoder2_lr(lr1)], dim=1))
        x = self.restore1(self.fusion2(fused1))
        x = self.restore2(torch.cat([x, fused1], dim=1))
        x = self.restore3(torch.cat([x, lr1, pan1], dim=1))
        return x[..., : guide.shape[-2], : guide.shape[-1]]
