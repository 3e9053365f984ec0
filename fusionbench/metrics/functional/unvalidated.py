"""Indices from papers, without any reference value to hold them to. Their names say so: keep them out of tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusionbench.metrics.functional.inputs import Image, stack
from fusionbench.metrics.functional.no_reference import d_lambda_k
from fusionbench.metrics.functional.sharpness import with_pan
from fusionbench.metrics.functional.structural import ROUNDING
from fusionbench.metrics.functional.windows import map_mean, window_sums


@torch.no_grad()
def d_s_regression_unvalidated(fused: Tensor, pan: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """1 - R^2 of the least-squares regression of PAN on the fused bands and a constant, over the whole image.

    Shapes: fused [N,B,H,W], pan [N,1,H,W], valid [N,1,H,W] bool -> [N] float64 in [0, 1]; NaN for a constant PAN.
    Source: the spatial term of RQNR (Alparone et al., IEEE TGRS 56(12), 2018), definition from memory.
    """
    found = []
    for bands, panchromatic, mask in with_pan(fused, pan, valid):
        x, y = (z.flatten(1) if mask is None else z[:, mask] for z in (bands, panchromatic))
        x, y = x - x.mean(1, keepdim=True), y[0] - y.mean()
        covariance = x @ y
        explained = covariance @ torch.linalg.pinv(x @ x.T, hermitian=True) @ covariance
        found.append(1 - explained / y.dot(y))
    return stack(found, fused)


@torch.no_grad()
def rqnr_unvalidated(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    gains: float | Sequence[float],
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    valid: Tensor | None = None,
) -> Tensor:
    """Regression-based QNR: (1 - D_lambda_K) R^2, R^2 as in :func:`d_s_regression_unvalidated`.

    Shapes, arguments and raises: as :func:`hqnr` -> [N] float64.
    """
    spectral = d_lambda_k(fused, ms, gains=gains, exp=exp, grid=grid, block=block, valid=valid)
    return (1 - spectral) * (1 - d_s_regression_unvalidated(fused, pan, valid=valid))


@torch.no_grad()
def d_rho_unvalidated(fused: Tensor, pan: Tensor, *, window: int = 4, valid: Tensor | None = None) -> Tensor:
    """1 - mean over bands and pixels of the local correlation of a fused band with PAN in sliding windows.

    A window that is constant in band or PAN counts as correlation 0; one that holds an invalid pixel is left out.

    Shapes: fused [N,B,H,W], pan [N,1,H,W], valid [N,1,H,W] bool -> [N] float64 in [0, 2].
    Args:
        window: side in pixels, the ratio of the pair as published.
    Source: Scarpa and Ciotola, Remote Sensing 14(8), 2022, constants from memory.
    """

    def local_correlation(x: Tensor, y: Tensor) -> Tensor:
        n = window * window
        sx, sy, xx, yy, xy = window_sums(torch.stack([x, y, x * x, y * y, x * y]), window)
        vx, vy = n * xx - sx * sx, n * yy - sy * sy
        flat = (vx <= ROUNDING * n * xx) | (vy <= ROUNDING * n * yy)
        return torch.where(flat, 0.0, (n * xy - sx * sy) / (vx * vy).sqrt())

    found = []
    for bands, panchromatic, mask in with_pan(fused, pan, valid):
        image = Image(bands, panchromatic.expand_as(bands), mask)
        found.append(1 - map_mean(image, window, local_correlation))
    return stack(found, fused)
