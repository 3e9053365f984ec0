"""Indices that look at neighbourhoods: UIQI, SSIM, SCC (reference [N,B,H,W], estimate [N,B,H,W] -> [N])."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.metrics.functional.inputs import FLAT, Border, Image, bands, double, images, per_image, stack
from fusionbench.metrics.functional.windows import (
    STRIP,
    check_window,
    map_mean,
    weighted_sums,
    whole_windows,
    window_sums,
)

# Where the two variances are below this share of the mean squares, float64 sums cannot tell them from zero. One pixel
# that differs by 1 in a window of 32 x 32 numbers of 16 bits still makes 1e-13.
ROUNDING = 1e-14


@torch.no_grad()
def uiqi(
    reference: Tensor, estimate: Tensor, *, block: int = 32, valid: Tensor | None = None, border: Border = 0
) -> Tensor:
    """Universal image quality index: 4 s_xy m_x m_y / ((s_x + s_y)(m_x^2 + m_y^2)), mean over windows and bands.

    Windows slide by one pixel inside the image; one that holds an invalid pixel is left out (:func:`share_used` says
    how many stay). A window constant in both images counts its means, 2 m_x m_y / (m_x^2 + m_y^2); one whose means
    are both 0 counts 1.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 in [-1, 1].
    Raises:
        DataError: shapes that do not belong together, an image smaller than a window.
    Source: Wang and Bovik, IEEE SPL 9(3), 2002; the toolbox's Q with its window of 32.
    """

    def quality(x: Tensor, y: Tensor) -> Tensor:
        n = block * block
        sx, sy, sxy = (window_sums(z, block) for z in (x, y, x * y))
        squares = window_sums((x * x).addcmul_(y, y), block)
        product, means = sx * sy, (sx * sx).addcmul_(sy, sy)
        variances = torch.sub(n * squares, means)
        covariances = (n * sxy).sub_(product)
        if means.min() > 0 and torch.sub(variances, squares, alpha=ROUNDING * n).min() > 0:
            return covariances.mul_(product).mul_(4).div_(variances.mul_(means))
        flat = variances <= ROUNDING * n * squares
        top, bottom = torch.where(flat, 2.0, 4 * covariances) * product, torch.where(flat, 1.0, variances) * means
        return torch.where(means == 0, 1.0, top / bottom)

    return stack([map_mean(image, block, quality) for image in images(reference, estimate, valid, border)], reference)


@torch.no_grad()
def ssim(
    reference: Tensor,
    estimate: Tensor,
    *,
    data_range: float | Tensor,
    auto_downsample: bool = False,
    valid: Tensor | None = None,
    border: Border = 0,
) -> Tensor:
    """Structural similarity: Gaussian window 11 x 11 of sigma 1.5, K 0.01 and 0.03, mean over windows and bands.

    Windows lie inside the image; one that holds an invalid pixel is left out. Moments are the biased ones.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 in [-1, 1].
    Args:
        data_range: 2^bits - 1 for digital numbers, one number or one per image.
        auto_downsample: average and thin the images by max(1, round(min(H, W) / 256)) first, as its authors' code does.
    Raises:
        DataError: shapes that do not belong together, an image smaller than a window.
    Source: Wang et al., IEEE TIP 13(4), 2004.
    """
    weights = [math.exp(-(k**2) / (2 * 1.5**2)) for k in range(-5, 6)]
    taps = [w / sum(weights) for w in weights]
    values = []
    for image, top in zip(
        images(reference, estimate, valid, border), per_image(data_range, len(reference), "data_range"), strict=True
    ):
        quality = _ssim_map(taps, (0.01 * top) ** 2, (0.03 * top) ** 2)
        values.append(map_mean(_thinned(image) if auto_downsample else image, len(taps), quality))
    return stack(values, reference)


def _ssim_map(taps: list[float], c1: float, c2: float) -> Callable[[Tensor, Tensor], Tensor]:
    def quality(x: Tensor, y: Tensor) -> Tensor:
        mx, my, squares, exy = weighted_sums(torch.stack([x, y, x * x + y * y, x * y]), taps)
        product, means = mx * my, mx * mx + my * my
        return (2 * product + c1) * (2 * (exy - product) + c2) / ((means + c1) * (squares - means + c2))

    return quality


def _thinned(image: Image) -> Image:
    """Every f-th pixel of the f x f mean, mirrored at the border (the edge pixel included)."""
    factor = max(1, math.floor(min(image.reference.shape[-2:]) / 256 + 0.5))
    if factor == 1:
        return image
    before = (factor - 1) // 2
    valid = None
    if image.valid is not None:
        padded = _mirrored(image.valid[None], before, factor - 1 - before)[0]
        valid = (window_sums((~padded).to(torch.int32), factor) == 0)[::factor, ::factor]
    small = []
    for pair in bands(image):
        padded_pair = (_mirrored(x, before, factor - 1 - before) for x in pair)
        small.append([window_sums(x, factor)[:, ::factor, ::factor] / factor**2 for x in padded_pair])
    return Image(torch.cat([x for x, _ in small]), torch.cat([y for _, y in small]), valid)


def _mirrored(x: Tensor, before: int, after: int) -> Tensor:
    for dim in (-2, -1):
        n = x.shape[dim]
        x = torch.cat([x.narrow(dim, 0, before).flip(dim), x, x.narrow(dim, n - after, after).flip(dim)], dim)
    return x


@torch.no_grad()
def scc(
    reference: Tensor,
    estimate: Tensor,
    *,
    variant: Literal["sobel", "laplacian"] = "sobel",
    valid: Tensor | None = None,
    border: Border = 0,
) -> Tensor:
    """Spatial correlation coefficient, of the images' edges.

    ``sobel`` (the toolbox): the outermost pixels are dropped, the image is continued by zeros, and the value is the
    cosine between the two images' gradient magnitudes over all bands and pixels together. ``laplacian``: Pearson's r
    between images filtered by 8 in the centre and -1 around, per band, mean over bands.
    Pixels with an invalid neighbour are left out. An image without any edge has no value: NaN.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 in [0, 1], ``laplacian`` in [-1, 1].
    Raises:
        ConfigError: unknown variant.
        DataError: shapes that do not belong together, an image smaller than 3 x 3.
    Source: Zhou, Civco and Silander, IJRS 19(4), 1998, in the form of the toolbox.
    """
    if variant not in ("sobel", "laplacian"):
        raise ConfigError(f"scc knows variant sobel|laplacian, got {variant!r}")
    found = []
    for image in images(reference, estimate, valid, border):
        check_window(3, *image.reference.shape[-2:])
        found.append(_sobel_cosine(image) if variant == "sobel" else _laplacian_correlation(image))
    return stack(found, reference)


def _sobel_cosine(image: Image) -> Tensor:
    rim = (..., slice(1, -1), slice(1, -1))
    valid = None if image.valid is None else image.valid[rim]
    image = Image(image.reference[rim], image.estimate[rim], valid)
    usable = None if valid is None else whole_windows(F.pad(valid, (1, 1, 1, 1), value=True), 3)
    xx, yy, xy = (torch.zeros((), dtype=torch.float64, device=image.reference.device) for _ in range(3))
    height, width = image.reference.shape[-2:]
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        keep = None if usable is None else usable[part]
        for x, y in zip(image.reference, image.estimate, strict=True):
            gx, gy = _sobel_magnitude(x, valid, part, keep), _sobel_magnitude(y, valid, part, keep)
            xx += gx.dot(gx)
            yy += gy.dot(gy)
            xy += gx.dot(gy)
    return xy / (xx * yy).sqrt()


def _sobel_magnitude(band: Tensor, valid: Tensor | None, part: slice, usable: Tensor | None) -> Tensor:
    """Gradient magnitudes of rows ``part`` of a band [H,W] continued by zeros, in one row; 0 where not usable."""
    near = slice(max(0, part.start - 1), part.stop + 1)
    x = double(band[near], None if valid is None else valid[near])
    x = F.pad(x, (1, 1, 1 if part.start == 0 else 0, 1 if part.stop >= len(band) else 0))
    rows, columns = x[:-2] - x[2:], x[:, :-2] - x[:, 2:]
    down = (rows[:, :-2] + rows[:, 2:]).add_(rows[:, 1:-1], alpha=2)
    across = (columns[:-2] + columns[2:]).add_(columns[1:-1], alpha=2)
    size = down.square_().addcmul_(across, across).sqrt_()
    return (size if usable is None else torch.where(usable, size, 0.0)).flatten()


def laplacian(x: Tensor) -> Tensor:
    """8 in the centre, -1 around, only where it fits: [..,H,W] -> [..,H-2,W-2]."""
    return 9 * x[..., 1:-1, 1:-1] - window_sums(x, 3)


def _laplacian_correlation(image: Image) -> Tensor:
    usable = whole_windows(image.valid, 3)
    found = []
    for pair in bands(image):
        for x, y in zip(*(laplacian(z) for z in pair), strict=True):
            found.append(correlation(x, y) if usable is None else correlation(x[usable], y[usable]))
    return torch.stack(found).mean()


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson's r of two float64 tensors of one shape; NaN where one of them is constant."""
    mx, my = x.mean(), y.mean()
    x, y = (x - mx).flatten(), (y - my).flatten()
    sx, sy = x.dot(x), y.dot(y)
    flat = (sx <= x.numel() * (FLAT * mx) ** 2) | (sy <= y.numel() * (FLAT * my) ** 2)
    return torch.where(flat, torch.nan, x.dot(y) / (sx * sy).sqrt())
