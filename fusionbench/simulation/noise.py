"""Random fields built from elementary arithmetic only, so that a seed gives the same field on any machine.

Every field is a cascade: white noise on a coarse lattice, doubled by cubic B-spline subdivision, finer noise added,
doubled again. The weights are dyadic (1, 4, 6, 4, 1)/8 and numpy adds and multiplies float32 alike everywhere; Fourier
transforms, reductions and transcendental functions do not come in.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

SPLINE_SD = (
    0.5  # standard deviation, per unit of white noise, that is left after repeated subdivision in two directions
)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose: adding draws to one leaves every other as it was."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])))


def _double(field: np.ndarray) -> np.ndarray:
    """Cubic B-spline subdivision along the first axis: n samples -> 2 (n - 2)."""
    out = np.empty((2 * (field.shape[0] - 2), field.shape[1]), np.float32)
    out[0::2] = (field[:-2] + field[2:] + np.float32(6) * field[1:-1]) * np.float32(0.125)
    out[1::2] = (field[1:-1] + field[2:]) * np.float32(0.5)
    return out


def cascade(rng: np.random.Generator, rows: int, columns: int, levels: Mapping[int, float]) -> np.ndarray:
    """A smooth random field with power at chosen octaves.

    Args:
        rng: source of randomness.
        rows, columns: size in px.
        levels: octave l (features of about 2^l px) -> amplitude.

    Returns:
        [rows, columns] float32, zero mean, standard deviation about sqrt(sum of amplitudes^2).
    """
    top = max(levels)
    sizes = [(rows, columns)]
    for _ in range(top):
        sizes.append(((sizes[-1][0] + 1) // 2 + 2, (sizes[-1][1] + 1) // 2 + 2))
    field = np.zeros(sizes[top], np.float32)
    for level in range(top, -1, -1):
        if levels.get(level):
            scale = levels[level] / (SPLINE_SD if level else 1.0)
            field += rng.standard_normal(sizes[level], np.float32) * np.float32(scale)
        if level:
            wanted = sizes[level - 1]
            field = _double(np.ascontiguousarray(_double(field)[: wanted[0]].T)).T[:, : wanted[1]]
    return np.ascontiguousarray(field)


def field(rng: np.random.Generator, size: int, pixel: float, scales: Mapping[float, float]) -> np.ndarray:
    """A square random field with power at scales in metres.

    Args:
        rng: source of randomness.
        size: px in one direction.
        pixel: m per px.
        scales: size of features in m -> amplitude; features below a pixel are drawn per pixel.

    Returns:
        [size, size] float32, zero mean.
    """
    levels: dict[int, float] = {}
    for scale, amplitude in scales.items():
        level = max(0, (round(scale / pixel * 1.414) or 1).bit_length() - 1)
        levels[level] = (levels.get(level, 0.0) ** 2 + amplitude**2) ** 0.5
    return cascade(rng, size, size, levels)


def lognormal(x: np.ndarray) -> np.ndarray:
    """exp(x) for abs(x) below about 2 as (1 + x/16)^16: the same bits everywhere, which exp does not promise."""
    y = np.float32(1) + x * np.float32(1 / 16)
    np.maximum(y, np.float32(0.1), out=y)
    for _ in range(4):
        y *= y
    return y


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - np.float32(low)) * np.float32(1.0 / (high - low)), np.float32(0), np.float32(1))
    return t * t * (np.float32(3) - np.float32(2) * t)
