"""Q2n, the quality index of hypercomplex numbers (Q4 for four bands, Q8 for eight)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.metrics.functional.inputs import Border, Image, double, images, stack
from fusionbench.metrics.functional.windows import split_blocks

# Stands for a standard deviation of 0, as in the toolbox.
EPS = torch.finfo(torch.float64).eps

# Elements of the blocks worked on together.
PIECE = 1 << 17


@torch.no_grad()
def q2n(
    reference: Tensor, estimate: Tensor, *, block: int = 32, valid: Tensor | None = None, border: Border = 0
) -> Tensor:
    """Q2n: one quality index over all bands, mean over non-overlapping blocks.

    Works in digital numbers: both images are rounded to 16 bits, negatives to 0. Sizes that are no multiple of
    ``block`` are continued at the bottom and right by mirroring, the edge pixel included. A block that holds an invalid
    pixel is left out; with none left the value is NaN.

    The hypercomplex product is bilinear: its mean over a block needs no product per pixel, only the matrix of
    covariances between the bands of the two images. The cost is linear in pixels and quadratic in bands.

    Shapes: reference, estimate [N,B,H,W]; valid [N,1,H,W] bool -> [N] float64 in [0, 1].
    Raises:
        ConfigError: a block below 2 pixels.
        DataError: shapes that do not belong together; a reference within [0, 1] that is not whole numbers.
    Source: Garzelli and Nencini, IEEE GRSL 6(4), 2009; Alparone et al., IEEE GRSL 1(4), 2004.
    """
    if block < 2:
        raise ConfigError(f"q2n needs a block of at least 2 pixels, got {block}")
    return stack([_q2n(image, block) for image in images(reference, estimate, valid, border)], reference)


def _q2n(image: Image, block: int) -> Tensor:
    _check_digital_numbers(image)
    image = _extended(image, block)
    count, height, width = image.reference.shape
    step = max(1, PIECE // (count * block * width)) * block
    values = []
    for top in range(0, height, step):
        part = slice(top, top + step)
        valid = None if image.valid is None else image.valid[part]
        blocks = [split_blocks(z[:, part], block) for z in (image.reference, image.estimate)]
        if valid is not None:
            whole = split_blocks(valid[None], block).all(-1)[:, 0]
            blocks = [z[whole] for z in blocks]
        values.append(_block_values(*(_digital(z) for z in blocks)))
    return torch.cat(values).mean()


def _block_values(x: Tensor, y: Tensor) -> Tensor:
    """Q2n of blocks [k,B,n] of reference and estimate -> [k].

    The numbers are whole, so their sums are exact in float64, and so is what is zero.
    """
    _, count, n = x.shape
    signs, components, size = _product(count)
    sx, sy = x.sum(-1), y.sum(-1)
    xx, yy = (torch.linalg.vecdot(z, z) for z in (x, y))
    xy = torch.bmm(x, y.mT)
    mx, my = sx / n, sy / n
    var_x, var_y = ((n * zz - z * z) / (n * (n - 1)) for zz, z in ((xx, sx), (yy, sy)))
    sd = torch.where(var_x == 0, EPS, var_x.sqrt())
    scale = torch.where(mx == 0, 1.0, 1 / sd)

    # components beyond the bands are constant 1 in both images
    norm_x, norm_y = float(size), (torch.where(mx == 0, my, (my - mx) / sd) + 1).square().sum(-1) + size - count
    luminance = 2 * (norm_x * norm_y).sqrt() / (norm_x + norm_y)
    variance = (var_x / sd.square() + var_y * scale.square()).sum(-1)

    covariance = (n * xy - sx[:, :, None] * sy[:, None]) / (n * (n - 1)) / sd[:, :, None] * scale[:, None]
    terms = (covariance * signs.to(x.device)).flatten(1)
    q = terms.new_zeros(len(terms), size).index_add_(1, components.to(x.device), terms)
    contrast = 2 * torch.linalg.vector_norm(q, dim=1) / variance
    return luminance * torch.where(variance == 0, 1.0, contrast)


@lru_cache(maxsize=16)
def _product(bands: int) -> tuple[Tensor, Tensor, int]:
    """Sign and component of each product of two bands, the second conjugated.

    Returns:
        Signs [B,B] float64, components [B * B] int64 (that of units i and j is i xor j), and the number of components:
        the next power of two.
    """
    signs = torch.ones(1, 1, dtype=torch.float64)
    while len(signs) < bands:
        conj = -torch.ones(len(signs), dtype=torch.float64)
        conj[0] = 1
        # units in the halves (a, b) and (c, d): (a c - conj(d) b, conj(a) conj(d) + c conj(b))
        upper = torch.cat([signs, conj[:, None] * conj * signs], 1)
        lower = torch.cat([conj[:, None] * signs.T, -conj * signs.T], 1)
        signs = torch.cat([upper, lower])
    size = len(signs)
    conjugated = signs.clone()
    conjugated[:, 1:] *= -1
    units = torch.arange(bands)
    return conjugated[:bands, :bands], (units[:, None] ^ units).flatten(), size


def _digital(x: Tensor) -> Tensor:
    """Whole numbers of 16 bits in float64: halves up, out of range to its ends; NaN stays."""
    return x.to(torch.float64, copy=True).clamp_(0, 65535).add_(0.5).floor_()


def _extended(image: Image, block: int) -> Image:
    """The image continued at the bottom and right to multiples of ``block`` by mirroring, repeated if need be."""
    for dim in (-2, -1):
        size = image.reference.shape[dim]
        if size % block:
            index = torch.arange(-(-size // block) * block, device=image.reference.device) % (2 * size)
            index = torch.where(index < size, index, 2 * size - 1 - index)
            reference, estimate = (z.index_select(dim, index) for z in image[:2])
            valid = None if image.valid is None else image.valid.index_select(dim, index)
            image = Image(reference, estimate, valid)
    return image


def _check_digital_numbers(image: Image) -> None:
    x = image.reference
    # the first row nearly always tells, at no cost
    if not x.is_floating_point() or any(bool((part > 1).any()) for part in (x[:, :1], x)):
        return
    x = double(x, image.valid)
    if bool((x != x.floor()).any()):
        raise DataError(
            f"q2n rounds to whole numbers, and the reference lies within [0, 1] (largest value {float(x.max()):.4g}): "
            "give digital numbers, scaled by 2^bits - 1"
        )
