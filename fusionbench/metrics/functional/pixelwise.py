"""Indices that compare pixel by pixel: RMSE, PSNR, CC, DD, SAM, ERGAS (reference, estimate [N,B,H,W] -> [N])."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.metrics.functional.inputs import (
    FLAT,
    Border,
    Image,
    bands,
    double,
    images,
    per_image,
    pixel_count,
    row_strips,
    stack,
)


def _band_means(image: Image, planes: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> Tensor:
    """Means over valid pixels of what ``planes`` makes of reference and estimate [b,H,W]: [planes, B]."""
    sums = [
        torch.cat([torch.stack([plane.sum((1, 2)) for plane in planes(x, y)]) for x, y in bands(strip)], 1)
        for strip in row_strips(image)
    ]
    return torch.stack(sums).sum(0) / pixel_count(image)


def _band_mse(image: Image) -> Tensor:
    return _band_means(image, lambda x, y: ((y - x).square_(),))[0]


@torch.no_grad()
def rmse(
    reference: Tensor,
    estimate: Tensor,
    *,
    valid: Tensor | None = None,
    border: Border = 0,
    per_band: bool = False,
) -> Tensor:
    """Root mean square error over all valid pixels and bands, in the unit of the data.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 ([N,B] with ``per_band``).
    Raises:
        DataError: shapes that do not belong together.
    """
    mses = [_band_mse(image) for image in images(reference, estimate, valid, border)]
    return stack([mse.sqrt() if per_band else mse.mean().sqrt() for mse in mses], reference)


@torch.no_grad()
def psnr(
    reference: Tensor,
    estimate: Tensor,
    *,
    data_range: float | Tensor | None = None,
    mode: Literal["global", "band"] = "global",
    peak: Literal["data_range", "band_max"] = "data_range",
    valid: Tensor | None = None,
    border: Border = 0,
) -> Tensor:
    """Peak signal-to-noise ratio in dB: 20 log10(peak / RMSE). Identical images give infinity.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64.
    Args:
        data_range: 2^bits - 1 for digital numbers, one number or one per image.
        mode: ``global`` takes one RMSE over all bands, ``band`` the mean over bands of each band's PSNR (MPSNR).
        peak: ``band_max`` takes each reference band's maximum instead of ``data_range`` (hyperspectral papers; needs
            ``mode="band"``).
    Raises:
        ConfigError: unknown mode or peak, ``data_range`` missing.
        DataError: shapes that do not belong together.
    """
    if mode not in ("global", "band") or peak not in ("data_range", "band_max"):
        raise ConfigError(f"psnr knows mode global|band and peak data_range|band_max, got {mode!r} and {peak!r}")
    if peak == "band_max" and mode != "band":
        raise ConfigError("psnr with peak='band_max' needs mode='band': a band's maximum belongs to a band's error")
    if peak == "data_range" and data_range is None:
        raise ConfigError("psnr needs data_range (2^bits - 1 for digital numbers)")
    ranges = per_image(math.nan if data_range is None else data_range, reference.shape[0], "data_range")
    values = []
    for image, top in zip(images(reference, estimate, valid, border), ranges, strict=True):
        mse = _band_mse(image)
        if mode == "global":
            values.append(20 * torch.log10(top / mse.mean().sqrt()))
            continue
        peaks: Tensor | float = top
        if peak == "band_max":
            x = image.reference.to(torch.float64)
            peaks = (x if image.valid is None else torch.where(image.valid, x, -torch.inf)).amax((1, 2))
        values.append((20 * torch.log10(peaks / mse.sqrt())).mean())
    return stack(values, reference)


@torch.no_grad()
def cc(reference: Tensor, estimate: Tensor, *, valid: Tensor | None = None, border: Border = 0) -> Tensor:
    """Correlation coefficient: Pearson's r of each band, mean over bands.

    A band that is constant in reference or estimate has no correlation: the image's value is NaN.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 in [-1, 1].
    Raises:
        DataError: shapes that do not belong together.
    """
    values = []
    for image in images(reference, estimate, valid, border):
        n = pixel_count(image)
        found = []
        for x, y in bands(image):
            mx, my = x.sum((1, 2), keepdim=True) / n, y.sum((1, 2), keepdim=True) / n
            x, y = x - mx, y - my
            if image.valid is not None:
                x, y = x * image.valid, y * image.valid
            sx, sy = x.square().sum((1, 2)), y.square().sum((1, 2))
            flat = (sx <= n * (FLAT * mx.flatten()) ** 2) | (sy <= n * (FLAT * my.flatten()) ** 2)
            found.append(torch.where(flat, torch.nan, (x * y).sum((1, 2)) / (sx * sy).sqrt()))
        values.append(torch.cat(found).mean())
    return stack(values, reference)


@torch.no_grad()
def dd(reference: Tensor, estimate: Tensor, *, valid: Tensor | None = None, border: Border = 0) -> Tensor:
    """Degree of distortion: mean absolute difference over valid pixels and bands, in the unit of the data.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64.
    Raises:
        DataError: shapes that do not belong together.
    """
    return stack(
        [
            _band_means(image, lambda x, y: ((y - x).abs_(),)).mean()
            for image in images(reference, estimate, valid, border)
        ],
        reference,
    )


@torch.no_grad()
def sam(
    reference: Tensor,
    estimate: Tensor,
    *,
    unit: Literal["degrees", "radians"] = "degrees",
    valid: Tensor | None = None,
    border: Border = 0,
) -> Tensor:
    """Spectral angle mapper: mean over pixels of the angle between spectra, in degrees.

    Pixels where either spectrum is zero in all bands have no angle and are left out; with none left the value is NaN.
    The product of norms is one root, sqrt(|x|^2 |y|^2): equal spectra then give exactly 0.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 in [0, 180].
    Raises:
        ConfigError: unknown unit.
        DataError: shapes that do not belong together.
    Source: Yuhas, Goetz and Boardman, JPL AVIRIS workshop, 1992.
    """
    if unit not in ("degrees", "radians"):
        raise ConfigError(f"sam knows unit degrees|radians, got {unit!r}")
    values = []
    for image in images(reference, estimate, valid, border):
        angles = [_angle_sum(strip) for strip in row_strips(image)]
        total, counted = torch.stack(angles).sum(0)
        values.append(total / counted)
    radians = stack(values, reference)
    return radians.rad2deg() if unit == "degrees" else radians


def _angle_sum(image: Image) -> Tensor:
    """Sum of the angles in radians, and the number of pixels that have one."""
    dot, xx, yy = torch.zeros(3, *image.reference.shape[1:], dtype=torch.float64, device=image.reference.device)
    for x, y in zip(image.reference, image.estimate, strict=True):
        x, y = double(x, image.valid), double(y, image.valid)
        dot.addcmul_(x, y)
        xx.addcmul_(x, x)
        yy.addcmul_(y, y)
    norm = xx.mul_(yy).sqrt_()
    counted = norm != 0
    angle = torch.acos(dot.div_(norm).clamp_(-1, 1))
    return torch.stack([torch.where(counted, angle, 0.0).sum(), counted.sum()])


@torch.no_grad()
def ergas(
    reference: Tensor,
    estimate: Tensor,
    *,
    ratio: float | Tensor,
    dim_band: float = 1e-3,
    valid: Tensor | None = None,
    border: Border = 0,
) -> Tensor:
    """ERGAS, relative dimensionless global error: (100 / ratio) sqrt(mean_b(MSE_b / mean(x_b)^2)).

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64, 0 is best.
    Args:
        ratio: fine pixels per coarse pixel (4 for most PAN / MS pairs), one number or one per image.
        dim_band: bands whose reference mean is below this share of the largest are left out (they explode the index);
            :func:`ergas_bands` counts them. With no band left (an all-zero reference) the value is NaN.
    Raises:
        DataError: shapes that do not belong together.
    Source: Wald, Fusion of Earth Data, 2000.
    """
    ratios = per_image(ratio, reference.shape[0], "ratio")
    values = []
    for image, r in zip(images(reference, estimate, valid, border), ratios, strict=True):
        mean, mse = _band_means(image, lambda x, y: (x, (y - x).square_()))
        kept = _bright(mean, dim_band)
        values.append(100 / r * (mse[kept] / mean[kept].square()).mean().sqrt())
    return stack(values, reference)


@torch.no_grad()
def ergas_bands(
    reference: Tensor, *, dim_band: float = 1e-3, valid: Tensor | None = None, border: Border = 0
) -> Tensor:
    """Number of bands that :func:`ergas` counts in each image, [N] int64."""
    means = [_band_means(image, lambda x, _: (x,))[0] for image in images(reference, reference, valid, border)]
    kept = [_bright(mean, dim_band).sum() for mean in means]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64, device=reference.device)


def _bright(mean: Tensor, dim_band: float) -> Tensor:
    size = mean.abs()
    return (size >= dim_band * size.max()) & (size > 0)
