"""HyperPNN: spectra are predicted pixel by pixel before and after a small spatial network that sees PAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu


class HyperPNN(nn.Module):
    """He, Zhu, Li, Plaza, Chanussot, Li, HyperPNN: Hyperspectral Pansharpening via Spectrally Predictive Convolutional
    Neural Networks, IEEE JSTARS 12(8), 2019.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to about [0, 1].

    Args:
        bands: B.
        guide_bands: of the guide; 1 as published.
        skip: HyperPNN2, which adds the interpolated HS image; without it HyperPNN1.
        width: channels between the layers.
    """

    def __init__(self, bands: int, guide_bands: int = 1, skip: bool = True, width: int = 64) -> None:
        super().__init__()
        self.skip = skip
        self.spectral1 = nn.Conv2d(bands, width, 1)
        self.spectral2 = nn.Conv2d(width, width, 1)
        self.spatial1 = nn.Conv2d(width + guide_bands, width, 3, padding=1)
        self.spatial2 = nn.Conv2d(width, width, 3, padding=1)
        self.spatial3 = nn.Conv2d(width, width, 3, padding=1)
        self.spectral3 = nn.Conv2d(width, width, 1)
        self.spectral4 = nn.Conv2d(width, bands, 1)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        up = interpolate(lr, size=guide.shape[-2:], mode="bilinear")
        x = relu(self.spectral2(relu(self.spectral1(up))))
        x = torch.cat([x, guide], 1)
        for layer in (self.spatial1, self.spatial2, self.spatial3, self.spectral3):
            x = relu(layer(x))
        x = self.spectral4(x)
        return x + up if self.skip else x
