"""CF-CNN (He et al., IEEE TGRS 2021): a residual network on an image window, atrous convolutions on user density."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from fusionbench.errors import ConfigError

SHORTEST = 15  # steps of a series, so that one value is left behind the five convolutions


def _norm(channels: int, dimensions: int = 2) -> nn.Module:
    kind = nn.BatchNorm1d if dimensions == 1 else nn.BatchNorm2d
    return kind(channels, eps=1e-3, momentum=0.01)


def _keras_init(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class _Bottleneck(nn.Module):
    """[N,c,H,W] -> [N,4w,ceil(H/s),ceil(W/s)]."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = 4 * width
        self.main = nn.Sequential(
            nn.Conv2d(inputs, width, 1, stride), _norm(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), _norm(width), nn.ReLU(),
            nn.Conv2d(width, outputs, 1), _norm(outputs),
        )  # fmt: skip
        self.short = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), _norm(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.short(x))


class ImageBranch(nn.Module):
    """Features of an image window: [N,C,H,W] -> [N,16 width].

    Args:
        bands: C.
        width: 64 as published; less makes a narrower, otherwise equal network.
    """

    def __init__(self, bands: int, width: int = 64) -> None:
        super().__init__()
        self.features = 16 * width
        self.stem = nn.Sequential(nn.Conv2d(bands, width, 7, 2, 3), _norm(width), nn.ReLU())
        self.stage1 = nn.Sequential(*(_Bottleneck(4 * width if i else width, width) for i in range(3)))
        self.stage2 = nn.Sequential(
            _Bottleneck(4 * width, 4 * width, 2), *(_Bottleneck(16 * width, 4 * width) for _ in range(2))
        )
        self.dropout, self.norm = nn.Dropout(0.5), _norm(16 * width)

    def forward(self, image: Tensor) -> Tensor:
        x = self.dropout(self.stage1(max_pool2d(self.stem(image), 3, 2, 1)))
        features: Tensor = self.norm(self.dropout(self.stage2(x)))
        return features.mean(dim=(-2, -1))


class SeriesBranch(nn.Module):
    """Features of a user-density series, before their activation: [N,T] -> [N,16 width].

    Args:
        steps: T, 15 or more.
        width: see `ImageBranch`.

    Raises:
        ConfigError: too short a series.
    """

    def __init__(self, steps: int, width: int = 64) -> None:
        super().__init__()
        if steps < SHORTEST:
            raise ConfigError(f"cf_cnn: a series of {steps} steps; its convolutions need {SHORTEST} or more")
        self.features = 16 * width
        layers: list[nn.Module] = []
        inputs = 1
        for outputs, dilation, dropout in (
            (width // 2, 1, 0.25), (width, 1, 0.0), (width, 2, 0.5), (2 * width, 1, 0.0), (2 * width, 2, 0.5),
        ):  # fmt: skip
            layers += [nn.Conv1d(inputs, outputs, 3, dilation=dilation), _norm(outputs, 1), nn.ReLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
            inputs = outputs
        self.convolutions = nn.Sequential(*layers)
        self.dense, self.norm = nn.Linear(inputs * (steps - SHORTEST + 1), self.features), _norm(self.features, 1)

    def forward(self, activity: Tensor) -> Tensor:
        features: Tensor = self.norm(self.dense(self.convolutions(activity.unsqueeze(1)).flatten(1)))
        return features


class CFCNN(nn.Module):
    """CF-CNN: both branches' features, concatenated and classified.

    Shapes: image [N,C,H,W] in [0, 1], activity [N,T] standardised per step -> logits [N,K].

    Args:
        bands: C; published 3, windows of 128 x 128.
        steps: T; published 48: the hours of two kinds of day.
        classes: K.
        width: see `ImageBranch`.

    Source: He et al., Accurate Estimation of the Proportion of Mixed Land Use at the Street-Block Level by Integrating
    High Spatial Resolution Images and Geospatial Big Data, IEEE TGRS 59(8), 2021.
    """

    def __init__(self, bands: int, steps: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.image, self.series = ImageBranch(bands, width), SeriesBranch(steps, width)
        self.dropout = nn.Dropout(0.5)
        self.classify = nn.Linear(self.image.features + self.series.features, classes)
        _keras_init(self)

    def forward(self, image: Tensor, activity: Tensor) -> Tensor:
        features = torch.cat([self.image(image), self.series(activity)], dim=1)
        logits: Tensor = self.classify(self.dropout(features))
        return logits


class CFCNNImage(nn.Module):
    """The image branch of CF-CNN with a classifier of its own: image [N,C,H,W] -> logits [N,K]; see `CFCNN`."""

    def __init__(self, bands: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.image = ImageBranch(bands, width)
        self.classify = nn.Linear(self.image.features, classes)
        _keras_init(self)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.image(image))
        return logits


class CFCNNSeries(nn.Module):
    """The series branch of CF-CNN with a classifier of its own: activity [N,T] -> logits [N,K]; see `CFCNN`."""

    def __init__(self, steps: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.series, self.dropout = SeriesBranch(steps, width), nn.Dropout(0.5)
        self.classify = nn.Linear(self.series.features, classes)
        _keras_init(self)

    def forward(self, activity: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.dropout(torch.relu(self.series(activity))))
        return logits
