"""UnifiedDL-UFZ (Lu et al., Remote Sensing of Environment 2022): cells from image and POI, then their surroundings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusionbench.errors import DataError

BLOCKS = (3, 4, 6, 3)


def _unit(inputs: int, outputs: int, dropout: bool = False, kernel: int = 1) -> nn.Sequential:
    """Convolution, perhaps dropout of whole channels, norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return nn.Sequential(conv, *([nn.Dropout2d(0.5)] if dropout else []), nn.BatchNorm2d(outputs), nn.ReLU())


class _Block(nn.Module):
    """Two 3 x 3 convolutions with a short way around: [N,c,H,W] -> [N,d,ceil(H/s),ceil(W/s)]."""

    def __init__(self, inputs: int, outputs: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1), nn.Dropout2d(0.5), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1), nn.Dropout2d(0.5), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.short = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if projected
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.short(x))


class Encoder(nn.Module):
    """Residual network of 34 layers whose stages all begin with a projection: [N,C,H,W] -> [N,32 width,1,1].

    Args:
        bands: C.
        width: 64 as published; less makes a narrower, otherwise equal network.
    """

    def __init__(self, bands: int, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(bands, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        stages, inputs = [], width
        for number, blocks in enumerate(BLOCKS):
            outputs = width * 2**number
            first = _Block(inputs, outputs, 2 if number else 1, projected=True)
            stages.append(nn.Sequential(first, *(_Block(outputs, outputs, 1, False) for _ in range(blocks - 1))))
            inputs = outputs
        self.stages, self.tail = nn.Sequential(*stages), _unit(inputs, 32 * width)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.tail(self.stages(self.stem(x)))
        return features.mean(dim=(-2, -1), keepdim=True)


class LayerWeighting(nn.Module):
    """POI maps, each times a weight that all of them decide: [N,M,H,W] -> [N,M,H,W] (the paper's LWM)."""

    def __init__(self, layers: int, hidden: int = 128) -> None:
        super().__init__()
        last = nn.Sequential(nn.Conv2d(hidden, layers, 1), nn.BatchNorm2d(layers), nn.Sigmoid())
        self.weigh = nn.Sequential(_unit(layers, hidden), last)

    def forward(self, poi: Tensor) -> Tensor:
        weights: Tensor = self.weigh(poi.mean(dim=(-2, -1), keepdim=True))
        return poi * weights


class PatchFusion(nn.Module):
    """First stage of UnifiedDL-UFZ: a cell's class from its image and its POI distance maps.

    Shapes: image [N,C,H,W], poi [N,M,H,W] -> logits [N,K]. Norms on single pixels: training batches hold two cells or
    more.

    Args:
        bands: C; published 3, cells of 224 x 224.
        layers: M, kinds of points of interest; published 8.
        classes: K.
        width: see `Encoder`.

    Source: Lu et al., A unified deep learning framework for urban functional zone extraction based on multi-source
    heterogeneous data, Remote Sensing of Environment 270, 2022.
    """

    def __init__(self, bands: int, layers: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.features = 32 * width
        self.image, self.poi = Encoder(bands, width), Encoder(layers, width)
        self.layers = LayerWeighting(layers, 2 * width)
        last = nn.Sequential(nn.Conv2d(4 * width, 2, 1), nn.BatchNorm2d(2), nn.Sigmoid())
        self.shares = nn.Sequential(_unit(2 * self.features, 4 * width), last)  # the paper's FAFS
        self.classify = nn.Conv2d(self.features, classes, 1)

    def fused(self, image: Tensor, poi: Tensor) -> Tensor:
        """Both features in the shares that both decide: [N,F,1,1]."""
        seen, near = self.image(image), self.poi(self.layers(poi))
        shares = self.shares(torch.cat([seen, near], dim=1))
        fused: Tensor = shares[:, :1] * seen + shares[:, 1:] * near
        return fused

    def forward(self, image: Tensor, poi: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.fused(image, poi))
        return logits.flatten(1)


class ImagePatches(nn.Module):
    """The image encoder of `PatchFusion` with a classifier of its own: image [N,C,H,W] -> logits [N,K]."""

    def __init__(self, bands: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.image, self.classify = Encoder(bands, width), nn.Conv2d(32 * width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.image(image))
        return logits.flatten(1)


class POIPatches(nn.Module):
    """The POI encoder of `PatchFusion` with its layer weights and a classifier of its own: poi [N,M,H,W] -> [N,K]."""

    def __init__(self, layers: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.layers, self.poi = LayerWeighting(layers, 2 * width), Encoder(layers, width)
        self.classify = nn.Conv2d(32 * width, classes, 1)

    def forward(self, poi: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.poi(self.layers(poi)))
        return logits.flatten(1)


class _Recurrence(nn.Module):
    """Both ways down the columns, then both ways along the rows of the result: [N,C,h,w] -> [N,C,h,w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vertical, self.horizontal = (
            nn.GRU(channels, channels // 2, batch_first=True, bidirectional=True) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        down = self.vertical(x.permute(0, 3, 2, 1).reshape(n * w, h, c))[0].reshape(n, w, h, c)
        along = self.horizontal(down.transpose(1, 2).reshape(n * h, w, c))[0]
        crossed: Tensor = along.reshape(n, h, w, c).permute(0, 3, 1, 2)
        return crossed


class _CrossTransfer(nn.Module):
    """Convolution before recurrence, recurrence before convolution, and the cell itself: [N,C,h,w] -> [N,C,h,w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.rnn1 = _unit(channels, channels, True, 3), _Recurrence(channels)
        self.conv2, self.rnn2 = _unit(channels, channels, True, 3), _Recurrence(channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.rnn2(self.conv1(x)) + self.conv2(self.rnn1(x)) + x))


class SpatialContext(nn.Module):
    """Second stage of UnifiedDL-UFZ: classes of a grid of cells from their features: [N,F,h,w] -> logits [N,K,h,w].

    Args:
        features: F; published 2048.
        classes: K.
        width: channels are 8 of it; published 64.
        units: cross transfer units.
    """

    def __init__(self, features: int, classes: int, width: int = 64, units: int = 3) -> None:
        super().__init__()
        channels = 8 * width
        self.enter = nn.Sequential(nn.BatchNorm2d(features), nn.ReLU(), _unit(features, channels, dropout=True))
        self.units = nn.Sequential(*(_CrossTransfer(channels) for _ in range(units)))
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.units(self.enter(features)))
        return logits


class UnifiedDLUFZ(nn.Module):
    """UnifiedDL-UFZ: cells fused from image and POI, placed on their grid and classified in their surroundings.

    Shapes: of one town image [n,C,H,W], poi [n,M,H,W], position [n,2] (row, column of the cell) -> logits [n,K]; of
    several with a first axis more -> [N,K,n]. Cells that are missing in the grid are zero. The first stage gets no
    gradient and stays in evaluation mode: it comes from a `PatchFusion` that was trained alone.

    Args:
        bands, layers, classes, width: see `PatchFusion`.
        units: see `SpatialContext`.

    Source: see `PatchFusion`.
    """

    def __init__(self, bands: int, layers: int, classes: int, width: int = 64, units: int = 3) -> None:
        super().__init__()
        self.patches = PatchFusion(bands, layers, classes, width)
        self.context = SpatialContext(self.patches.features, classes, width, units)

    def train(self, mode: bool = True) -> UnifiedDLUFZ:
        """Training mode of the second stage; the first keeps evaluating."""
        super().train(mode)
        self.patches.eval()
        return self

    def forward(self, image: Tensor, poi: Tensor, position: Tensor) -> Tensor:
        towns = image.shape[0] if image.ndim == 5 else 1
        with torch.no_grad():
            cells = self.patches.fused(image.reshape(-1, *image.shape[-3:]), poi.reshape(-1, *poi.shape[-3:]))
        cells = cells.reshape(towns, -1, self.patches.features)
        rows, columns = _places(position.reshape(towns, -1, 2))
        town = torch.arange(towns, device=cells.device)[:, None].expand_as(rows)
        grid = cells.new_zeros(towns, int(rows.max()) + 1, int(columns.max()) + 1, self.patches.features)
        grid[town, rows, columns] = cells
        logits = self.context(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)[town, rows, columns]
        return logits.transpose(1, 2) if image.ndim == 5 else logits[0]


def _places(position: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns [N,n] from 0."""
    placed = position.long()
    placed = placed - placed.amin(dim=1, keepdim=True)
    for town in placed:
        if len(torch.unique(town, dim=0)) < len(town):
            raise DataError("unifieddl_ufz: two cells of a town have the same position")
    return placed[..., 0], placed[..., 1]
