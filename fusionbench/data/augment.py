"""Flips and quarter turns of a batch on the device, from (seed, step, rank)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusionbench.errors import ConfigError

AUGMENTATIONS = ("none", "flips")


def check_augmentation(augment: str, grid: str) -> None:
    """Refuse an unknown augmentation, or one that the pixel grid does not allow.

    Raises:
        ConfigError: see above.
    """
    if augment not in AUGMENTATIONS:
        raise ConfigError(f"data.augment={augment}: one of {', '.join(AUGMENTATIONS)}")
    if augment == "flips" and grid == "dlpan":
        raise ConfigError(
            "data.augment=flips does not fit data.grid=dlpan: low-resolution samples lie at r k + r/2 there, and "
            "a flip or a turn moves them by a pixel against PAN. Use data.augment=none, or a data set on the area grid"
        )


def flip_batch(batch: dict[str, Any], seed: int, step: int, rank: int) -> dict[str, Any]:
    """Turn every sample of a batch by one of the eight symmetries of the square, the same for all its images.

    Args:
        batch: tensors [N, C, H, W] with square images, and metadata, which stays.
        seed, step, rank: the only source of randomness.
    """
    images = {key: value for key, value in batch.items() if isinstance(value, Tensor) and value.ndim == 4}
    count = next(iter(images.values())).shape[0]
    turns = np.random.default_rng([seed, step, rank]).integers(8, size=count)
    turned = dict(batch)
    for key, value in images.items():
        turned[key] = torch.stack([_turn(value[i], int(turn)) for i, turn in enumerate(turns)])
    return turned


def _turn(image: Tensor, turn: int) -> Tensor:
    image = torch.rot90(image, turn % 4, (-2, -1))
    return image.flip(-1) if turn >= 4 else image
