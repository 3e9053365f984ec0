"""LAGNet (Jin et al., AAAI 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu

from fusionbench.imaging import expand


class LAConv(nn.Module):
    """Local-context adaptive convolution: a mask per pixel scales the kernel's taps, a global bias is added.

    Shapes: [N,C,H,W] -> [N,outputs,H,W]; zero padding. Mask channel t belongs to tap t in row-major order.

    Source: Jin et al., LAGConv, AAAI 2022, equations 1 to 6.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        taps = kernel * kernel
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # PyTorch's default for a convolution
        self.attention1 = nn.Sequential(
            nn.Conv2d(inputs, taps, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv2d(taps, taps, 1),
            nn.ReLU(),
            nn.Conv2d(taps, taps, 1),
            nn.Sigmoid(),
        )
        self.attention3 = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        outputs, inputs = self.weight.shape[:2]
        mask = self.attention1(x)
        # the mask is shared by all channels: weigh the taps' 1x1 convolutions after the sum over channels, not before
        bank = self.weight.permute(2, 3, 0, 1).reshape(-1, inputs, 1, 1)
        responses = conv2d(pad(x, (self.kernel // 2,) * 4), bank).unflatten(1, (-1, outputs))
        result = self.attention3(x).expand(-1, -1, height, width)
        for tap in range(self.kernel**2):
            row, column = divmod(tap, self.kernel)
            shifted = responses[:, tap, :, row : row + height, column : column + width]
            result = result + mask[:, tap : tap + 1] * shifted
        return result


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = LAConv(channels, channels)
        self.conv2 = LAConv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(relu(self.conv1(x)))


class LAGNet(nn.Module):
    """LAGNet: a small residual network of locally adaptive convolutions, whose output is added to the upsampled MS.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.
    Each layer's global bias averages the whole image: the result of a tile depends on what the tile holds.

    Source: Jin et al., LAGConv: Local-Context Adaptive Convolution Kernels with Global Harmonic Bias for
    Pansharpening, AAAI 2022.
    """

    tileable = False  # the global bias

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 32) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.head_conv = nn.Sequential(LAConv(bands + 1, channels), nn.ReLU())
        self.RB1 = _Block(channels)
        self.RB2 = _Block(channels)
        self.RB3 = _Block(channels)
        self.RB4 = _Block(channels)
        self.RB5 = _Block(channels)
        self.tail_conv = LAConv(channels, bands)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = expand(lr, self.ratio, self.grid)
        x = self.head_conv(torch.cat([guide, lms], dim=1))
        x = self.RB5(self.RB4(self.RB3(self.RB2(self.RB1(x)))))
        return lms + self.tail_conv(x)
