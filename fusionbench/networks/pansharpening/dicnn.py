"""DiCNN (He et al., IEEE JSTARS 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand
from fusionbench.networks.blocks import init_variance_scaling

VARIANTS = ("dicnn1", "dicnn2")


class DiCNN(nn.Module):
    """DiCNN: three convolutions predict the details to inject, from MS and PAN (dicnn1) or from PAN alone (dicnn2).

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.

    Raises:
        ConfigError: unknown variant.

    Source: He et al., Pansharpening via Detail Injection Based Convolutional Neural Networks, IEEE JSTARS 12(4), 2019.
    """

    def __init__(
        self, bands: int, ratio: int = 4, grid: str = "dlpan", variant: str = "dicnn1", channels: int = 64
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ConfigError(f"dicnn: variant={variant!r} is unknown; choose one of {', '.join(VARIANTS)}")
        self.ratio, self.grid, self.variant = ratio, grid, variant
        self.conv1 = nn.Conv2d(bands + 1 if variant == "dicnn1" else 1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, bands, 3, padding=1)
        init_variance_scaling(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = expand(lr, self.ratio, self.grid)
        x = torch.cat([lms, guide], dim=1) if self.variant == "dicnn1" else guide
        return lms + self.conv3(relu(self.conv2(relu(self.conv1(x)))))
