"""FusionNet (Deng et al., IEEE TGRS 2021)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.imaging import expand
from fusionbench.networks.blocks import ResidualBlock


class FusionNet(nn.Module):
    """FusionNet: details predicted from PAN (repeated over the bands) minus the upsampled MS, then injected.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.

    Source: Deng et al., Detail Injection-Based Deep Convolutional Neural Networks for Pansharpening,
    IEEE TGRS 59(8), 2021, section III.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 32) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.conv1 = nn.Conv2d(bands, channels, 3, padding=1)
        self.res1 = ResidualBlock(channels)
        self.res2 = ResidualBlock(channels)
        self.res3 = ResidualBlock(channels)
        self.res4 = ResidualBlock(channels)
        self.conv3 = nn.Conv2d(channels, bands, 3, padding=1)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = expand(lr, self.ratio, self.grid)
        x = relu(self.conv1(guide - lms))
        return lms + self.conv3(self.res4(self.res3(self.res2(self.res1(x)))))
