"""MDSSC-GAN SAM (Gastineau et al., IEEE TGRS 2022)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand
from fusionbench.networks.blocks import BatchStatisticsNorm2d, SameConv2d, init_normal, init_variance_scaling

# positions of red, green, blue and near infrared: blue, green, red, NIR; and WorldView order (coastal .. NIR2)
COLOURS = {4: (2, 1, 0, 3), 8: (4, 2, 1, 6)}
VIEWS = ("geometry", "colour")


class DenseBlock(nn.Module):
    """Three 3x3 convolutions that double the stack, a 1x1 back to ``channels``, plus the input."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.d1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.d2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.d3 = nn.Conv2d(4 * channels, 4 * channels, 3, padding=1)
        self.d4 = nn.Conv2d(8 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        stack = x
        for layer in (self.d1, self.d2, self.d3):
            stack = torch.cat([stack, relu(layer(stack))], dim=1)
        return x + self.d4(stack)


class MDSSCGAN(nn.Module):
    """Generator: four residual dense blocks predict what to add to the upsampled MS.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to 0..255, not clipped.

    Source: Gastineau et al., Generative Adversarial Network for Pansharpening With Spectral and Spatial Discriminators,
    IEEE TGRS 60, 2022.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.head = nn.Conv2d(bands + 1, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(DenseBlock(channels) for _ in range(blocks)))
        self.tail = nn.Conv2d(channels, bands, 1)
        init_variance_scaling(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = expand(lr, self.ratio, self.grid)
        return lms + self.tail(self.blocks(relu(self.head(torch.cat([lms, guide], dim=1)))))


class MDSSCDiscriminator(nn.Module):
    """Discriminator of one view of an image beside the same view of the upsampled MS.

    Shapes: lr [N,B,h,w], image [N,B,H,W], values 0..255 -> logits [N,1,H/64,W/64].
    ``view``: geometry (luma and near infrared) | colour (Cb and Cr). ``colours``: positions of red, green, blue and
    near infrared; known for 4 bands (blue, green, red, NIR) and the 8 of WorldView.

    Raises:
        ConfigError: unknown view, or positions that are missing or outside of the bands.
    """

    def __init__(
        self, bands: int, view: str, ratio: int = 4, grid: str = "dlpan", colours: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        if view not in VIEWS:
            raise ConfigError(f"mdssc_gan: view={view!r} is unknown; choose one of {', '.join(VIEWS)}")
        if colours is None and bands not in COLOURS:
            raise ConfigError(
                f"mdssc_gan: colours is not known for {bands} bands; give the positions of R, G, B and NIR"
            )
        self.colours = tuple(COLOURS[bands] if colours is None else colours)
        if len(self.colours) != 4 or not all(0 <= position < bands for position in self.colours):
            raise ConfigError(f"mdssc_gan: colours={list(self.colours)}; four positions from 0 to {bands - 1}")
        self.ratio, self.grid, self.view = ratio, grid, view
        layers: list[nn.Module] = [SameConv2d(4, 32, 3, 2, bias=False), nn.LeakyReLU(0.2)]
        widths = (32, 32, 64, 128, 256, 512, 1024)
        for inputs, outputs in itertools.pairwise(widths):
            stride = 1 if outputs == 1024 else 2
            layers += [SameConv2d(inputs, outputs, 3, stride, bias=False), BatchStatisticsNorm2d(outputs)]
            layers.append(nn.LeakyReLU(0.2))
        layers += [nn.Conv2d(1024, 1024, 1), nn.LeakyReLU(0.2), nn.Conv2d(1024, 1, 1)]
        self.body = nn.Sequential(*layers)
        init_normal(self, scales=True)

    def forward(self, lr: Tensor, image: Tensor) -> Tensor:
        return self.body(torch.cat([self._planes(expand(lr, self.ratio, self.grid)), self._planes(image)], dim=1))

    def _planes(self, image: Tensor) -> Tensor:
        """The two planes that this discriminator sees, [N,2,H,W]."""
        red, green, blue, infrared = (image[:, position] for position in self.colours)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        if self.view == "geometry":
            return torch.stack([luma, infrared], dim=1)
        return torch.stack([0.564 * (blue - luma) + 128, 0.713 * (red - luma) + 128], dim=1)
