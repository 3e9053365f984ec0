"""What every index does to its input first: check, cut the border, leave out invalid pixels, go to float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError

Border = int | Literal["dlpan"]

# Elements per band group turned to float64 at once: keeps the temporaries in cache, and memory flat for many bands.
CHUNK = 1 << 17

# Values whose standard deviation is below this share of their mean are constant: what is left is rounding.
FLAT = 1e-12


class Image(NamedTuple):
    """One image of a batch: reference and estimate [B,H,W] in their own dtype, valid [H,W] bool or None."""

    reference: Tensor
    estimate: Tensor
    valid: Tensor | None


def check_pair(reference: Tensor, estimate: Tensor, valid: Tensor | None = None) -> None:
    """Refuse a pair of batches whose shapes do not belong together.

    Raises:
        DataError: not [N,B,H,W] twice, or ``valid`` not a bool [N,1,H,W].
    """
    if reference.ndim != 4 or reference.shape != estimate.shape:
        raise DataError(
            f"an index compares two [N,B,H,W] batches of one shape, got reference {tuple(reference.shape)} "
            f"and estimate {tuple(estimate.shape)}"
        )
    n, _, height, width = reference.shape
    check_valid(valid, (n, 1, height, width))


def check_valid(valid: Tensor | None, shape: tuple[int, ...]) -> None:
    """Refuse a mask that is not bool of ``shape``.

    Raises:
        DataError: another dtype or shape.
    """
    if valid is not None and (valid.dtype != torch.bool or tuple(valid.shape) != shape):
        raise DataError(f"valid must be a bool mask {list(shape)}, got {valid.dtype} {list(valid.shape)}")


def cut(border: Border, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns left after the border cut.

    ``dlpan`` drops 20 pixels at the top and left and 21 at the bottom and right (the toolbox's 21:end-21); an integer
    drops that many on every side.

    Raises:
        ConfigError: another word, or a negative number.
        DataError: nothing is left.
    """
    if border == "dlpan":
        first, last = 20, 21
    elif isinstance(border, int) and border >= 0:
        first = last = border
    else:
        raise ConfigError(f"border is 'dlpan' or a number of pixels >= 0, got {border!r}")
    if min(height, width) <= first + last:
        raise DataError(f"border {border!r} leaves nothing of an image of {height} x {width} pixels")
    return slice(first, height - last), slice(first, width - last)


def images(reference: Tensor, estimate: Tensor, valid: Tensor | None, border: Border) -> Iterator[Image]:
    """The pairs of a batch, one by one, border cut; a mask that is all true is dropped.

    Raises:
        DataError, ConfigError: see :func:`check_pair`, :func:`cut`.
    """
    check_pair(reference, estimate, valid)
    rows, columns = cut(border, *reference.shape[-2:])
    for n in range(reference.shape[0]):
        mask = None if valid is None else valid[n, 0, rows, columns]
        if mask is not None and bool(mask.all()):
            mask = None
        yield Image(reference[n, :, rows, columns], estimate[n, :, rows, columns], mask)


def double(x: Tensor, valid: Tensor | None) -> Tensor:
    """Float64, invalid pixels 0 (whatever they held, NaN included)."""
    x = x.to(torch.float64)
    return x if valid is None else torch.where(valid, x, 0.0)


def bands(image: Image) -> Iterator[tuple[Tensor, Tensor]]:
    """Groups of bands [b,H,W] of reference and estimate in float64, few enough at a time to stay in cache."""
    count, height, width = image.reference.shape
    step = max(1, CHUNK // (height * width))
    for start in range(0, count, step):
        group = slice(start, start + step)
        yield double(image.reference[group], image.valid), double(image.estimate[group], image.valid)


def row_strips(image: Image) -> Iterator[Image]:
    """The image in strips of rows, all bands, few enough pixels for a plane of them to stay in cache."""
    height, width = image.reference.shape[-2:]
    rows = max(1, CHUNK // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        yield Image(
            image.reference[:, part], image.estimate[:, part], None if image.valid is None else image.valid[part]
        )


def pixel_count(image: Image) -> Tensor:
    """Number of valid pixels, float64."""
    height, width = image.reference.shape[-2:]
    if image.valid is None:
        return torch.tensor(float(height * width), dtype=torch.float64, device=image.reference.device)
    return image.valid.sum().to(torch.float64)


def per_image(value: float | Tensor, n: int, name: str) -> list[float]:
    """A number for each of ``n`` images, from one number or a tensor [N].

    Raises:
        DataError: a tensor of another length.
    """
    if not isinstance(value, Tensor):
        return [float(value)] * n
    if value.numel() not in (1, n):
        raise DataError(f"{name} is one number or one per image ({n}), got a tensor {tuple(value.shape)}")
    return value.reshape(-1).expand(n).to(torch.float64).tolist()


def stack(values: list[Tensor], like: Tensor) -> Tensor:
    """One value per image: [N] (or [N,B]) float64 on the device of ``like``."""
    if not values:
        return torch.empty(0, dtype=torch.float64, device=like.device)
    return torch.stack(values)
