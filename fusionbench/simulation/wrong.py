"""What goes wrong with a modality: it is missing, noisy, or lies aside by a known field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.simulation.noise import cascade, stream
from fusionbench.simulation.optics import sample

FILLS = ("zeros", "mean", "noise")


def withhold(sample_: Mapping[str, Any], name: str, fill: str = "zeros", seed: int = 0) -> dict[str, Any]:
    """A copy of a sample without one of its modalities.

    Args:
        sample_: arrays by name.
        name: the modality, [..., H, W].
        fill: ``zeros``; ``mean``: of each band; ``noise``: of each band's mean and standard deviation, no structure.
        seed: of the noise.

    Raises:
        ConfigError: no such modality, or an unknown fill.
    """
    if name not in sample_ or fill not in FILLS:
        raise ConfigError(f"{name}, fill={fill}: there are {', '.join(sample_)}; fills are {', '.join(FILLS)}")
    image = np.asarray(sample_[name])
    level = image.mean((-2, -1), keepdims=True) * np.ones_like(image)
    made = np.zeros_like(image) if fill == "zeros" else level
    if fill == "noise":
        noise = stream(seed, f"withheld {name}").standard_normal(image.shape).astype(image.dtype)
        made = level + noise * image.std((-2, -1), keepdims=True)
    return {**sample_, name: made.astype(image.dtype)}


def add_noise(image: np.ndarray, snr: float, seed: int) -> np.ndarray:
    """White noise of a signal-to-noise ratio: standard deviation of each band over that of its noise.

    Args:
        image: [..., H, W].
        snr: above 0; 1 buries half of the variance.
        seed: of the noise.

    Raises:
        ConfigError: a ratio of 0 or below.
    """
    if not snr > 0:
        raise ConfigError(f"snr={snr}: the signal-to-noise ratio lies above 0")
    noise = stream(seed, f"noise {snr:g}").standard_normal(image.shape, np.float32)
    return np.asarray(image + noise * (image.std((-2, -1), keepdims=True) / snr), np.float32)


def displacement(seed: int, size: int, shift: float, warp: float = 0.0, direction: float | None = None) -> np.ndarray:
    """A known field of misregistration.

    Args:
        seed: of direction and warp.
        size: px in one direction.
        shift: px, the same everywhere.
        warp: px, standard deviation of a smooth field on top with features of some 128 px.
        direction: degrees clockwise from up; None: drawn.

    Returns:
        [2, size, size] float32 px, rows and columns that are looked aside.
    """
    rng = stream(seed, "misregistration")
    drawn = rng.uniform(0, 360)
    turn = math.radians(drawn if direction is None else direction)
    levels = {min(7, max(1, int(math.log2(size)))): warp}
    field = np.stack([cascade(rng, size, size, levels) for _ in range(2)])
    field += np.array([-math.cos(turn), math.sin(turn)], np.float32).round(6)[:, None, None] * np.float32(shift)
    return np.asarray(field, np.float32)


def misregister(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """An image read aside by a field (cubic interpolation, borders repeated).

    Args:
        image: [B, H, W] float32.
        field: [2, H, W] px, see :func:`displacement`.

    Returns:
        [B, H, W] float32.
    """
    height, width = image.shape[-2:]
    rows = np.arange(height, dtype=np.float32)[:, None] + field[0]
    columns = np.arange(width, dtype=np.float32)[None] + field[1]
    return np.stack([sample(np.ascontiguousarray(band, np.float32), rows, columns) for band in image])
