"""Sub-pixel shifts by windowed sinc, and the shift that brings PAN onto MS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusionbench.imaging.borders import extend, weighted_sum
from fusionbench.imaging.interpolation import expand
from fusionbench.imaging.mtf import gaussian_low_pass

HALF_WIDTH = 12  # samples of the sinc on either side
SEARCH = 3  # PAN px to either side
BETA = 8.0  # of the Kaiser window: ripple 1e-4, flat to 0.78 of the Nyquist frequency


@dataclass(frozen=True)
class ShiftEstimate:
    """Shift to apply to PAN, in PAN px (down, right), and R2 of PAN regressed on MS without and with it (0..1)."""

    dy: float
    dx: float
    r2_before: float
    r2_after: float


def shift(x: Tensor, dy: float, dx: float) -> Tensor:
    """Move the content of x [..., H, W] down by ``dy`` and right by ``dx`` samples; symmetric borders, same dtype.

    A Kaiser-windowed sinc of 24 samples per axis, weights of sum 1. No shift is left out: 0 goes the same way.
    """
    return _move(_move(x, float(dy), -2), float(dx), -1)


def _move(x: Tensor, move: float, axis: int) -> Tensor:
    whole = math.floor(-move)
    part = -move - whole
    offset = torch.arange(1 - HALF_WIDTH, HALF_WIDTH + 1, dtype=torch.float64)
    reach = (part - offset) / HALF_WIDTH
    window = torch.special.i0(BETA * (1 - reach**2).clamp(min=0).sqrt())
    weight = torch.sinc(part - offset) * window
    weight = torch.where(weight.abs() < 1e-15, 0.0, weight)  # sinc at whole numbers
    weights = (weight / weight.sum()).tolist()
    around = extend(x, HALF_WIDTH - 1 - whole, HALF_WIDTH + whole, axis, "symmetric")
    return weighted_sum(around, weights, axis, 0, x.shape[axis])


def estimate_shift(lr: Tensor, guide: Tensor, ratio: int, grid: str) -> ShiftEstimate:
    """Global shift between PAN and MS: where low-passed PAN is best explained by the bands of the upsampled MS.

    R2 of the least-squares regression (with intercept) is searched over whole PAN pixels to +-3, then refined to about
    a hundredth of a pixel by two quadratic fits. Images should measure at least 32 PAN px.

    Args:
        lr: [B, h, w] and guide: [1, H, W] with H = ratio h; any unit.
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.

    Returns:
        The shift to APPLY to PAN with ``shift``; no shift, and R2 of 0, where PAN or MS is constant.
    """
    pan = gaussian_low_pass(guide.double(), ratio)[0]
    ms = expand(lr.double(), ratio, grid)
    margin = min(4 * ratio, *(n // 4 for n in pan.shape))
    rows, columns = (slice(margin, n - margin, max(ratio // 2, 1)) for n in pan.shape)
    basis = _orthonormal(ms[:, rows, columns].flatten(1))
    least = 1e-16 * float(pan.square().mean()) * basis.shape[1]
    around = pan
    for axis in (-2, -1):
        around = extend(around, SEARCH, SEARCH, axis, "symmetric")

    def explained(moved: Tensor) -> float:
        values = moved.flatten() - moved.mean()
        total = float(values @ values)
        return float(((basis @ values) ** 2).sum()) / total if total > least else 0.0

    def at_whole(dy: int, dx: int) -> float:
        moved = around[SEARCH - dy : SEARCH - dy + pan.shape[0], SEARCH - dx : SEARCH - dx + pan.shape[1]]
        return explained(moved[rows, columns])

    def at(downs: Sequence[float], rights: Sequence[float]) -> Tensor:
        moved = [_move(pan, dy, -2)[rows] for dy in downs]
        scores = [[explained(_move(x, dx, -1)[:, columns]) for dx in rights] for x in moved]
        return torch.tensor(scores, dtype=torch.float64)

    whole = range(-SEARCH, SEARCH + 1)
    table = {(dy, dx): at_whole(dy, dx) for dy in whole for dx in whole}
    before = table[0, 0]
    dy, dx = max(table, key=lambda at: (table[at], -abs(at[0]) - abs(at[1])))
    best, place = table[dy, dx], (float(dy), float(dx))
    for step in (0.5, 0.125):
        moves = _vertex(at(*([p - step, p, p + step] for p in place)))
        trial = tuple(min(max(p + step * m, -SEARCH), SEARCH) for p, m in zip(place, moves, strict=True))
        value = float(at(trial[:1], trial[1:]))
        if value > best:
            best, place = value, (trial[0], trial[1])
    return ShiftEstimate(place[0], place[1], before, best)


def _orthonormal(bands: Tensor) -> Tensor:
    """Orthonormal rows that span the centred bands [B, n]; directions without variance are left out."""
    centred = bands - bands.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    keep = values > 1e-12 * bands.square().sum()
    return (vectors[:, keep] / values[keep].sqrt()).T @ centred


def _vertex(z: Tensor) -> tuple[float, float]:
    """Maximum of the quadratic fitted to z [3, 3] at -1, 0, 1 in both directions, kept within one step; 0 if none."""
    at = torch.arange(-1.0, 2.0, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    # least squares of a + b y + c x + d y^2 + e x y + f x^2 in closed form: LAPACK's last bits depend on addresses
    slopes = [float((t * z).sum()) / 6 for t in (y, x)]
    bends = [float(((t * t - 2 / 3) * z).sum()) / 2 for t in (y, x)]
    (b, c), (d, f), e = slopes, bends, float((x * y * z).sum()) / 4
    determinant = 4 * d * f - e * e
    if d >= 0 or f >= 0 or determinant <= 0:
        return 0.0, 0.0
    moves = ((e * c - 2 * f * b) / determinant, (e * b - 2 * d * c) / determinant)
    return min(max(moves[0], -1.0), 1.0), min(max(moves[1], -1.0), 1.0)
