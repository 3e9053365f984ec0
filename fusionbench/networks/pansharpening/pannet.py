"""PanNet (Yang et al., ICCV 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.imaging import box_filter, expand
from fusionbench.networks.blocks import ResidualBlock, init_variance_scaling


class PanNet(nn.Module):
    """PanNet: a residual network on high-passed PAN and MS, whose output is added to the upsampled MS.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.
    The high pass is the image minus its 5x5 mean (reflected border), the MS one at its own scale.

    Source: Yang et al., PanNet: A Deep Network Architecture for Pan-Sharpening, ICCV 2017, section 3.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 32) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        # kernel 2r, stride r: H = r h exactly; odd ratios need one more row and column than the symmetric padding gives
        self.deconv = nn.ConvTranspose2d(
            bands, bands, 2 * ratio, stride=ratio, padding=(ratio + 1) // 2, output_padding=ratio % 2
        )
        self.conv1 = nn.Conv2d(bands + 1, channels, 3, padding=1)
        self.res1 = ResidualBlock(channels)
        self.res2 = ResidualBlock(channels)
        self.res3 = ResidualBlock(channels)
        self.res4 = ResidualBlock(channels)
        self.conv3 = nn.Conv2d(channels, bands, 3, padding=1)
        init_variance_scaling(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        details = self.deconv(lr - box_filter(lr, 5, border="reflect"))
        pan = guide - box_filter(guide, 5, border="reflect")
        x = relu(self.conv1(torch.cat([details, pan], dim=1)))
        x = self.res4(self.res3(self.res2(self.res1(x))))
        return self.conv3(x) + expand(lr, self.ratio, self.grid)
