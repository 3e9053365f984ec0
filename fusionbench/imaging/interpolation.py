"""Enlarging and shrinking: the 23-tap polynomial interpolator, EXP on both pixel grids, bicubic as in MATLAB.

Aiazzi, Alparone, Baronti, Garzelli, Context-driven fusion of high spatial and spectral resolution images based on
oversampled multiresolution analysis, IEEE TGRS 40(10), 2002 (23-tap kernel).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.imaging.borders import extend, in_pieces

GRIDS = ("area", "dlpan")
# taps of the 23-tap half-band kernel at the odd offsets 1, 3, .., 11; the centre is 1, even offsets are 0
HALF_BAND = tuple(
    2 * tap
    for tap in (0.305334091185, -0.072698593239, 0.021809577942, -0.005192756653, 0.000807762146, -0.000060081482)
)
REACH = len(HALF_BAND)  # samples on either side of a point halfway


def is_power_of_two(ratio: int) -> bool:
    return ratio > 0 and ratio & (ratio - 1) == 0


def check_grid(grid: str, ratio: int) -> None:
    """Raise ConfigError unless ``grid`` is one of GRIDS and exists at this ratio."""
    if grid not in GRIDS:
        raise ConfigError(f"data.grid: {grid!r} is no pixel grid; choose one of {', '.join(GRIDS)}")
    if ratio < 1:
        raise ConfigError(f"data.ratio: {ratio} is no ratio of pixel sizes; give a whole number from 1")
    if grid == "dlpan" and not is_power_of_two(ratio):
        raise ConfigError(f"data.ratio: {ratio} is no power of two, which grid 'dlpan' needs; set data.grid to 'area'")


def halfway(x: Tensor, axis: int, *, after: bool, border: str, step: int = 1, start: int = 0) -> Tensor:
    """Values half a sample after (or before) samples start::step of x along one axis; 12 odd taps, sum 1 - 4e-10."""
    first = 1 if after else 0
    around = extend(x, REACH - first, REACH - 1 + first, axis, border)
    last = start + (x.shape[axis] - 1 - start) // step * step

    def at(offset: int) -> Tensor:
        picked = slice(start + offset, last + offset + 1, step)
        return around[..., picked] if axis == -1 else around[..., picked, :]

    total = (at(REACH - 1) + at(REACH)) * HALF_BAND[0]
    for j, tap in enumerate(HALF_BAND[1:], start=1):
        total = total.add(at(REACH - 1 - j) + at(REACH + j), alpha=tap)
    return total


def _double(x: Tensor, axis: int, first: bool) -> Tensor:
    """Twice as many samples along one axis (negative): the given ones at odd positions the first time, else at even."""
    between = halfway(x, axis, after=not first, border="circular")
    pair = (between, x) if first else (x, between)
    axis = x.ndim + axis
    return torch.stack(pair, dim=axis + 1).flatten(axis, axis + 1)


def interp23(x: Tensor, ratio: int) -> Tensor:
    """Enlarge by repeated doubling with the 23-tap kernel and circular borders, as the field's toolbox does.

    Args:
        x: [..., h, w], floating point, any unit.
        ratio: power of two; sample k lands on position ratio k + ratio / 2 (counted from 0).

    Returns:
        [..., ratio h, ratio w], same dtype.

    Raises:
        ConfigError: the ratio is no power of two.
    """
    if not is_power_of_two(ratio):
        raise ConfigError(f"data.ratio: the 23-tap interpolator doubles; {ratio} is no power of two")

    def enlarge(x: Tensor) -> Tensor:
        for level in range(ratio.bit_length() - 1):
            x = _double(_double(x, -2, level == 0), -1, level == 0)
        return x

    return in_pieces(enlarge, x, ratio**2)


def expand(x: Tensor, ratio: int, grid: str) -> Tensor:
    """EXP: bring MS to the PAN grid.

    On ``dlpan`` sample k lands on ratio k + ratio / 2 (``interp23``). On ``area`` it lands on the centre of PAN pixels
    ratio k .. ratio k + ratio - 1: ``interp23`` of the mirrored image, then its own 12 odd taps take the half pixel;
    bicubic (a = -0.5) where the ratio is no power of two.

    Args:
        x: [..., B, h, w], floating point, any unit.
        ratio: PAN pixels per MS pixel along an axis.
        grid: ``area`` or ``dlpan``.

    Returns:
        [..., B, ratio h, ratio w], same dtype.

    Raises:
        ConfigError: unknown grid, or a ratio that the grid does not have.
    """
    check_grid(grid, ratio)
    if ratio == 1:
        return x
    height, width = x.shape[-2:]
    if grid == "dlpan":
        return interp23(x, ratio)
    if not is_power_of_two(ratio):
        return imresize(x, (ratio * height, ratio * width))
    return in_pieces(lambda planes: _expand_area(planes, ratio), x, ratio**2)


def _expand_area(x: Tensor, ratio: int) -> Tensor:
    margin = 2 * REACH  # px of MS; the doublings and the half sample together reach 6 + 3 + 1.5 + ..
    for axis in (-2, -1):
        size = x.shape[axis]
        x = extend(x, margin, margin, axis, "symmetric")
        for level in range(ratio.bit_length() - 1):
            x = _double(x, axis, level == 0)
        x = x.narrow(axis, ratio * margin - REACH, ratio * size + 2 * REACH)
        x = halfway(x, axis, after=True, border="symmetric").narrow(axis, REACH, ratio * size)
    return x


def imresize(x: Tensor, size: Sequence[int], method: str = "bicubic", antialias: bool = True) -> Tensor:
    """Resize as MATLAB's imresize: pixel areas correspond, symmetric borders, weights renormalised, nothing clipped.

    Args:
        x: [..., H, W], floating point, any unit.
        size: (rows, columns) of the result.
        method: ``bicubic`` (Keys, a = -0.5) or ``bilinear``.
        antialias: stretch the kernel by the shrinking factor where the image shrinks.

    Returns:
        [..., *size], same dtype.

    Raises:
        ValueError: unknown method, or a size below 1.
    """
    if method not in ("bicubic", "bilinear") or min(size) < 1:
        raise ValueError(f"expected bicubic or bilinear and a size from 1, got {method!r} and {tuple(size)}")

    def resize(x: Tensor) -> Tensor:
        # the axis that shrinks most goes first, as there
        for axis in sorted((-2, -1), key=lambda a: size[a] / x.shape[a]):
            x = _resize_axis(x, size[axis], axis, method, antialias)
        return x

    return in_pieces(resize, x, max(size[0] * size[1] // (x.shape[-2] * x.shape[-1]), 1))


def _resize_axis(x: Tensor, size: int, axis: int, method: str, antialias: bool) -> Tensor:
    index, weight = _contributions(x.shape[axis], size, method, antialias)
    index, weight = index.to(x.device), weight.to(x)
    shape = (-1, 1) if axis == -2 else (-1,)
    total = x.index_select(axis, index[0]) * weight[0].view(shape)
    for t in range(1, index.shape[0]):
        total = torch.addcmul(total, x.index_select(axis, index[t]), weight[t].view(shape))
    return total


@lru_cache(maxsize=64)
def _contributions(before: int, after: int, method: str, antialias: bool) -> tuple[Tensor, Tensor]:
    """Input index and weight of every tap of every output sample, [taps, after]."""
    scale = after / before
    stretch = min(scale, 1.0) if antialias else 1.0
    width = (4.0 if method == "bicubic" else 2.0) / stretch
    position = (torch.arange(1, after + 1, dtype=torch.float64) / scale + 0.5 * (1 - 1 / scale))[None]
    # counted from 1; two taps more than the width, those outside of it get weight 0
    index = (position - width / 2).floor() + torch.arange(math.ceil(width) + 2)[:, None]
    distance = ((position - index) * stretch).abs()
    weight = _cubic(distance) if method == "bicubic" else (1 - distance).clamp(min=0)
    weight = weight / weight.sum(0)
    used = (weight != 0).any(1)
    mirrored = (index.long() - 1) % (2 * before)
    mirrored = torch.where(mirrored < before, mirrored, 2 * before - 1 - mirrored)
    return mirrored[used], weight[used]


def _cubic(t: Tensor) -> Tensor:
    """Keys' cubic with a = -0.5 at distances t >= 0."""
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t <= 2, far, torch.zeros_like(t)))
