"""MSDCNN (Yuan et al., IEEE JSTARS 2018)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.imaging import expand


class MSDCNN(nn.Module):
    """MSDCNN: a shallow three-layer branch plus a deep branch of multi-scale (3, 5, 7) residual blocks, summed.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], never negative.

    Source: Yuan et al., A Multiscale and Multidepth Convolutional Neural Network for Remote Sensing Imagery
    Pan-Sharpening, IEEE JSTARS 11(3), 2018; the final ReLU as in the published weights.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan") -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid

        def conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

        self.conv1 = conv(bands + 1, 60, 7)
        self.conv2_1 = conv(60, 20, 3)
        self.conv2_2 = conv(60, 20, 5)
        self.conv2_3 = conv(60, 20, 7)
        self.conv3 = conv(60, 30, 3)
        self.conv4_1 = conv(30, 10, 3)
        self.conv4_2 = conv(30, 10, 5)
        self.conv4_3 = conv(30, 10, 7)
        self.conv5 = conv(30, bands, 5)
        self.shallow1 = conv(bands + 1, 64, 9)
        self.shallow2 = conv(64, 32, 1)
        self.shallow3 = conv(32, bands, 5)
        self._wake_bands(bands)

    @torch.no_grad()
    def _wake_bands(self, bands: int) -> None:
        """Raise output biases until every band is positive on dark and on bright grey.

        Behind the final ReLU a band that starts below zero everywhere has no gradient and would stay black for ever.
        """
        grey = torch.tensor([0.05, 0.5]).view(2, 1, 1, 1).expand(2, bands + 1, 33, 33)
        lowest = self._sum(grey)[..., 16, 16].amin(dim=0)
        cast(nn.Parameter, self.conv5.bias).add_((0.05 - lowest).clamp_min(0))

    def _sum(self, stack: Tensor) -> Tensor:
        a = relu(self.conv1(stack))
        b = relu(a + torch.cat([self.conv2_1(a), self.conv2_2(a), self.conv2_3(a)], dim=1))
        c = relu(self.conv3(b))
        d = relu(c + torch.cat([self.conv4_1(c), self.conv4_2(c), self.conv4_3(c)], dim=1))
        shallow = self.shallow3(relu(self.shallow2(relu(self.shallow1(stack)))))
        return self.conv5(d) + shallow

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        return relu(self._sum(torch.cat([expand(lr, self.ratio, self.grid), guide], dim=1)))
