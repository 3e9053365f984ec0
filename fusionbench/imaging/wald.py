"""Wald's protocol: degrade a pair by the ratio between its images, on either pixel grid.

Wald, Ranchin, Mangolini, Fusion of satellite images of different spatial resolutions, PE&RS 63(6), 1997.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.imaging.borders import in_pieces
from fusionbench.imaging.interpolation import check_grid, halfway, imresize
from fusionbench.imaging.mtf import mtf_filter

OPERATORS = ("mtf", "bicubic")


def decimate(x: Tensor, ratio: int, grid: str) -> Tensor:
    """Pick every ratio-th sample of a low-passed image where ``expand`` would put it back.

    On ``dlpan`` these are samples ratio/2::ratio. On ``area`` they are the centres ratio k + (ratio - 1) / 2, which for
    an even ratio lie halfway between samples: the 12 odd taps of ``expand`` move the image by half a sample first.

    Args:
        x: [..., H, W], floating point; what no block of ratio x ratio px holds at the far edges is left out.

    Returns:
        [..., H // ratio, W // ratio], same dtype.

    Raises:
        ConfigError: unknown grid, or a ratio that the grid does not have.
    """
    check_grid(grid, ratio)
    if ratio == 1:
        return x
    height, width = (n // ratio for n in x.shape[-2:])
    start = ratio // 2
    x = x[..., : ratio * height, : ratio * width]
    if grid == "dlpan" or ratio % 2 == 1:
        return x[..., start::ratio, start::ratio]

    def before(x: Tensor) -> Tensor:
        for axis in (-2, -1):
            x = halfway(x, axis, after=False, border="symmetric", step=ratio, start=start)
        return x

    return in_pieces(before, x)


def degrade_ms(ms: Tensor, gains: float | Sequence[float], ratio: int, grid: str, operator: str = "mtf") -> Tensor:
    """MS as the sensor would see it from ``ratio`` times as far.

    Args:
        ms: [..., B, H, W], floating point, any unit.
        gains: MTF at Nyquist, one per band or one for all.
        ratio: by how much to shrink.
        grid: ``area`` or ``dlpan``.
        operator: ``mtf`` (MTF-matched low pass, then ``decimate``), or ``bicubic`` (antialiased, area grid only; gains
            unused).

    Returns:
        [..., B, H // ratio, W // ratio], same dtype, not rounded.

    Raises:
        ConfigError: unknown operator or grid, or a number of gains that is not that of the bands.
    """
    if operator == "mtf":
        return decimate(mtf_filter(ms, gains, ratio), ratio, grid)
    if operator == "bicubic" and grid == "area":
        return _shrink(ms, ratio)
    raise ConfigError(f"degradation operator {operator!r} on grid {grid!r}: choose mtf, or bicubic on grid area")


def degrade_pan(pan: Tensor, ratio: int) -> Tensor:
    """PAN at the MS resolution: antialiased bicubic, [..., 1, H, W] -> [..., 1, H // ratio, W // ratio], on both grids.

    The centres lie on ratio k + (ratio - 1) / 2, on the dlpan grid too, as in the field's toolbox.
    """
    return _shrink(pan, ratio)


def _shrink(x: Tensor, ratio: int) -> Tensor:
    height, width = (n // ratio for n in x.shape[-2:])
    return imresize(x[..., : ratio * height, : ratio * width], (height, width))
