"""Pan-GAN (Ma et al., Information Fusion 2020)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks import BatchStatisticsNorm2d, SameConv2d, init_normal
from fusionbench.networks.blocks.resampling import enlarge, first_sample

EPS = 1e-5
LEAST = 96  # px; five strides of 2 must leave 4 x 4


class PanGAN(nn.Module):
    """Generator: three convolutions (9, 5, 5) with dense concatenations from the stack of MS and PAN.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values in [-1, 1].
    Every image is normalised by its own statistics when testing, as published, so a scene is not tiled.
    MS is enlarged bicubically (a = -0.75) on the data's own pixel grid.

    Source: Ma et al., Pan-GAN: An Unsupervised Pan-Sharpening Method for Remote Sensing Image Fusion, Information
    Fusion 62, 2020.
    """

    tileable = False

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan") -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        stack = bands + 1
        self.conv1, self.norm1 = nn.Conv2d(stack, 64, 9, padding=4), BatchStatisticsNorm2d(64, EPS)
        self.conv2, self.norm2 = nn.Conv2d(stack + 64, 32, 5, padding=2), BatchStatisticsNorm2d(32, EPS)
        self.conv3 = nn.Conv2d(stack + 96, bands, 5, padding=2)
        init_normal(self, 1e-3, truncated=True)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = enlarge(lr, self.ratio, first_sample(self.ratio, self.grid))
        stack = torch.cat([lms, guide], dim=1)
        stack = torch.cat([stack, relu(self.norm1(self.conv1(stack)))], dim=1)
        stack = torch.cat([stack, relu(self.norm2(self.conv2(stack)))], dim=1)
        return torch.tanh(self.conv3(stack))


class PanGANDiscriminator(nn.Module):
    """One score for a patch: five strided convolutions, then 4x4 without padding; patches of 128 px give one value.

    Shapes: image [N,C,H,W] with H >= 97 -> [N,1,H/32 - 3,W/32 - 3]. With ``intensity`` the mean over the bands is
    judged, so PAN and a fused image are both fit for it. Batch norm of one score needs two or more images.

    Raises:
        ConfigError: a patch that is too small, or a batch of one.
    """

    def __init__(self, bands: int, intensity: bool = False) -> None:
        super().__init__()
        self.intensity = intensity
        widths = (1 if intensity else bands, 16, 32, 64, 128, 256)
        pairs = itertools.pairwise(widths)
        self.convs = nn.ModuleList(SameConv2d(inputs, outputs, 3, 2) for inputs, outputs in pairs)
        self.norms = nn.ModuleList(BatchStatisticsNorm2d(width, EPS) for width in widths[2:])
        self.last, self.last_norm = nn.Conv2d(256, 1, 4), BatchStatisticsNorm2d(1, EPS)
        init_normal(self, 1e-3, truncated=True)

    def forward(self, image: Tensor) -> Tensor:
        if min(image.shape[-2:]) <= LEAST or image.shape[0] < 2:
            raise ConfigError(
                f"data.patch: {image.shape[0]} patches of {min(image.shape[-2:])} px; pan_gan needs "
                f"two or more of over {LEAST} px for its discriminators: data.patch=128"
            )
        x = image.mean(dim=1, keepdim=True) if self.intensity else image
        x = leaky_relu(self.convs[0](x), 0.2)
        for conv, norm in zip(list(self.convs)[1:], self.norms, strict=True):
            x = leaky_relu(norm(conv(x)), 0.2)
        return leaky_relu(self.last_norm(self.last(x)), 0.2)
