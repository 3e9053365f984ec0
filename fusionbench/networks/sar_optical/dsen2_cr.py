"""DSen2-CR (Meraner et al., ISPRS 2020): residual blocks on cloudy image and SAR, a correction added to the image."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu


class ScaledBlock(nn.Module):
    """x + scale * conv(ReLU(conv(x))), without normalisation: [N,C,H,W] -> [N,C,H,W]."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.second(relu(self.first(x)))


class DSen2CR(nn.Module):
    """Clear image from a cloudy one and SAR.

    Shapes: cloudy [N,B,H,W], sar [N,S,H,W] -> [N,B,H,W], in the cloudy image's range.

    Args:
        bands: B.
        sar_bands: S; 0: without SAR.
        blocks: residual blocks.
        features: channels of all layers.
        scale: of what a block adds.

    Source: Meraner, Ebel, Zhu, Schmitt, Cloud removal in Sentinel-2 imagery using a deep residual neural network and
    SAR-optical data fusion, ISPRS J. Photogramm. Remote Sens. 166, 2020, section 3.
    """

    def __init__(
        self, bands: int = 13, sar_bands: int = 2, blocks: int = 16, features: int = 256, scale: float = 0.1
    ) -> None:
        super().__init__()
        self.sar_bands = sar_bands
        self.first = nn.Conv2d(bands + sar_bands, features, 3, padding=1)
        self.blocks = nn.Sequential(*(ScaledBlock(features, scale) for _ in range(blocks)))
        self.last = nn.Conv2d(features, bands, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, cloudy: Tensor, sar: Tensor) -> Tensor:
        x = torch.cat([cloudy, sar], dim=1) if self.sar_bands else cloudy
        return cloudy + self.last(self.blocks(relu(self.first(x))))
