"""Statistics of images [N,C,H,W] over their pixels, float64; constant images give zeros, never NaN."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

EPS = torch.finfo(torch.float64).eps  # added to denominators, as in the field's toolbox
FLAT = 1e-8  # of the largest magnitude: EXP of a constant image varies by 4e-10 of it
HAZE = (0.95, 0.45, 0.40, 0.05)  # of the first percentile in blue, green, red, NIR


def mean(x: Tensor) -> Tensor:
    """[N,C,1,1]."""
    return x.mean((-2, -1), keepdim=True)


def std(x: Tensor) -> Tensor:
    """Unbiased standard deviation, [N,C,1,1]; exactly 0 for an image that is constant up to rounding."""
    value = x.std((-2, -1), keepdim=True)
    low, high = x.flatten(-2).aminmax(dim=-1)
    largest = torch.maximum(low.abs(), high.abs())[..., None, None]
    return torch.where(value <= FLAT * largest, 0.0, value)


def cov(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased covariance band by band (bands broadcast), [N,C,1,1]."""
    product = (a - mean(a)) * (b - mean(b))
    return product.sum((-2, -1), keepdim=True) / (product.shape[-2] * product.shape[-1] - 1)


def slope(y: Tensor, x: Tensor) -> Tensor:
    """Slope of y regressed on x, [N,C,1,1]; 0 where x is constant."""
    return quotient(cov(x, y), std(x) ** 2)


def corr(a: Tensor, b: Tensor) -> Tensor:
    """Correlation band by band, [N,C,1,1]; 0 where a or b is constant."""
    return quotient(cov(a, b), std(a) * std(b))


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is exactly 0."""
    none = b == 0
    return torch.where(none, 0.0, a / torch.where(none, 1.0, b))


def matched(pan: Tensor, target: Tensor, filtered: Tensor | None = None) -> Tensor:
    """PAN with the mean and spread of every band of ``target``, [N,C,H,W].

    Args:
        filtered: PAN whose spread is set equal to the target's in place of that of ``pan`` itself.
    """
    scale = quotient(std(target), std(pan if filtered is None else filtered))
    return (pan - mean(pan)) * scale + mean(target)


def least_squares(columns: Tensor, targets: Tensor) -> Tensor:
    """Coefficients c that minimise |targets - c columns|: columns [..,K,n], targets [..,T,n] -> [..,T,K].

    Normal equations of the columns scaled to norm 1; of linearly dependent columns the shortest solution.
    """
    gram = columns @ columns.mT
    norm = gram.diagonal(dim1=-2, dim2=-1).sqrt()
    norm = torch.where(norm == 0, 1.0, norm)
    inverse = torch.linalg.pinv(gram / (norm[..., :, None] * norm[..., None, :]), rtol=1e-12, hermitian=True)
    return (targets @ columns.mT / norm[..., None, :]) @ inverse / norm[..., None, :]


def nonnegative_least_squares(columns: Tensor, targets: Tensor) -> Tensor:
    """``least_squares`` with coefficients that are not negative, one target after the other on the CPU."""
    # the triangle of a QR factorisation has the least-squares solutions of the whole system
    triangle = torch.linalg.qr(torch.cat([columns, targets], dim=-2).mT, mode="r").R.cpu().numpy()
    count = columns.shape[-2]
    weights = np.empty((*targets.shape[:-1], count))
    for *system, target in np.ndindex(*targets.shape[:-1]):
        at = triangle[tuple(system)]
        weights[(*system, target)], _ = nnls(at[:, :count], at[:, count + target])
    return torch.from_numpy(weights).to(columns)


def combine(coefficients: Tensor, images: Tensor) -> Tensor:
    """Linear combinations: coefficients [N,T,K], images [N,K,H,W] -> [N,T,H,W]."""
    return torch.einsum("ntk,nkhw->nthw", coefficients, images)


def haze(bands: Tensor) -> Tensor:
    """Path radiance of every band of [N,B,H,W], [N,B,1,1].

    Four bands (blue, green, red, NIR): fixed shares of the first percentile; otherwise the band's minimum.

    Source: Lolli, Alparone, Garzelli, Vivone, Haze correction for contrast-based multispectral pansharpening, IEEE GRSL
    14(12), 2017.
    """
    if bands.shape[1] != len(HAZE):
        return bands.amin((-2, -1), keepdim=True)
    return percentile(bands, 1.0) * bands.new_tensor(HAZE)[:, None, None]


def percentile(x: Tensor, percent: float) -> Tensor:
    """Percentile of every band, [N,C,1,1]: the i-th of n ordered values stands at (i - 0.5) / n, linear between."""
    flat = x.flatten(-2)
    place = min(max(percent / 100 * flat.shape[-1] + 0.5, 1.0), float(flat.shape[-1]))
    low = int(place)
    value = flat.kthvalue(low, dim=-1).values
    if place > low:
        value = value + (place - low) * (flat.kthvalue(low + 1, dim=-1).values - value)
    return value[..., None, None]
