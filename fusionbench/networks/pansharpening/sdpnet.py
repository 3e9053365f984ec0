"""SDPNet (Xu et al., IEEE TGRS 2021): the fusion network and its helper networks."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
    nn.init.trunc_normal_(layer.weight, std=0.05, a=-0.1, b=0.1)
    nn.init.zeros_(cast(nn.Parameter, layer.bias))
    return layer


class EncoderDecoder(nn.Module):
    """A helper network of SDPNet, at full resolution throughout: [N,inputs,H,W] -> [N,outputs,H,W], in (0, 1).

    P2MS and MS2P translate between PAN and MS (``width`` 96, ``slope`` 0.1); the spatial and the spectral
    auto-encoder (``width`` 128, ``slope`` 0.2) supply the features that the fusion network's loss compares.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 128, slope: float = 0.2) -> None:
        super().__init__()
        self.slope = slope
        self.encoder = nn.ModuleList([_conv(inputs, 32), _conv(32, 64), _conv(64, width)])
        self.decoder = nn.ModuleList([_conv(width, 64), _conv(64, 32), _conv(32, outputs)])

    def encode(self, x: Tensor) -> Tensor:
        """Features [N,width,H,W]."""
        for layer in self.encoder:
            x = leaky_relu(layer(x), self.slope)
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.encode(x)
        for layer in self.decoder[:-1]:
            x = leaky_relu(layer(x), self.slope)
        return torch.tanh(self.decoder[-1](x)) / 2 + 0.5


class SDPNet(nn.Module):
    """SDPNet: densely connected convolutions on PAN and the replicated MS.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.
    Replicated MS pixels lie on both pixel grids to within half a PAN pixel.

    Source: Xu et al., SDPNet: A Deep Network for Pan-Sharpening With Enhanced Information Representation, IEEE TGRS
    59(5), 2021; the single stream and the last activation as in the published code.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 48) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.c1 = _conv(bands + 1, channels)
        self.c2 = _conv(channels, channels)
        self.c3 = _conv(2 * channels, channels)
        self.c4 = _conv(3 * channels, channels)
        self.c5 = _conv(4 * channels, channels)
        self.c6 = _conv(5 * channels, 128)
        self.c7 = _conv(128, 64)
        self.c8 = _conv(64, bands)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        replicated = lr.repeat_interleave(self.ratio, dim=-2).repeat_interleave(self.ratio, dim=-1)
        x = leaky_relu(self.c1(torch.cat([replicated, guide], dim=1)), 0.2)
        for layer in (self.c2, self.c3, self.c4, self.c5):
            x = torch.cat([leaky_relu(layer(x), 0.2), x], dim=1)
        for layer in (self.c6, self.c7, self.c8):
            x = leaky_relu(layer(x), 0.2)
        return x
