"""Sliding windows and blocks: exact local sums, strips that stay in cache, which windows hold an invalid pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.metrics.functional.inputs import Border, Image, check_valid, cut, double

# Elements of one strip: a few of them in float64 fit the cache of a core.
STRIP = 1 << 17


def window_sums(x: Tensor, size: int) -> Tensor:
    """Sums over every ``size`` x ``size`` window, [..,H,W] -> [..,H-size+1,W-size+1].

    Each sum is built from its own pixels by doubling (1, 2, 4, .. wide), so that nothing far away is added and taken
    off again, as running sums and Fourier transforms do: sums of integers are exact.
    """
    return _sums_along(_sums_along(x, size, -2), size, -1)


def _sums_along(x: Tensor, size: int, dim: int) -> Tensor:
    if size == 1:
        return x
    half = size // 2
    part = _sums_along(x, half, dim)
    count = x.shape[dim] - 2 * half + 1
    total = part.narrow(dim, 0, count) + part.narrow(dim, half, count)
    if size % 2:
        total = total.narrow(dim, 0, count - 1) + x.narrow(dim, size - 1, count - 1)
    return total


def weighted_sums(x: Tensor, taps: list[float]) -> Tensor:
    """Correlation with the separable kernel ``taps`` x ``taps``, only where it fits (``valid``)."""
    for dim in (-2, -1):
        count = x.shape[dim] - len(taps) + 1
        out = x.narrow(dim, 0, count) * taps[0]
        for k, tap in enumerate(taps[1:], start=1):
            out.add_(x.narrow(dim, k, count), alpha=tap)
        x = out
    return x


def map_mean(image: Image, size: int, quality: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean of a quality map over bands and over the windows without an invalid pixel; NaN where there is none.

    Args:
        quality: reference and estimate [b,h,w] float64 -> map [b,h-size+1,w-size+1].
    Raises:
        DataError: the image is smaller than a window.
    """
    count, height, width = image.reference.shape
    check_window(size, height, width)
    whole = whole_windows(image.valid, size)
    total = torch.zeros((), dtype=torch.float64, device=image.reference.device)
    for x, y, rows in _strips(image, size):
        values = quality(x, y)
        total += (values if whole is None else torch.where(whole[rows], values, 0.0)).sum()
    windows = (height - size + 1) * (width - size + 1) if whole is None else whole.sum()
    return total / (windows * count)


def _strips(image: Image, size: int) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Bands and rows in pieces; the slice says which rows of windows a piece gives."""
    count, height, width = image.reference.shape
    rows = min(height - size + 1, max(size, STRIP // width))
    group = max(1, STRIP // ((rows + size - 1) * width))
    for band in range(0, count, group):
        for top in range(0, height - size + 1, rows):
            part = (slice(band, band + group), slice(top, top + rows + size - 1))
            valid = None if image.valid is None else image.valid[part[1]]
            yield double(image.reference[part], valid), double(image.estimate[part], valid), slice(top, top + rows)


def check_window(size: int, height: int, width: int) -> None:
    """Refuse a window that is no window or larger than the image.

    Raises:
        ConfigError: ``size`` below 1.
        DataError: the image is smaller.
    """
    if size < 1:
        raise ConfigError(f"a window is at least 1 pixel wide, got {size}")
    if min(height, width) < size:
        raise DataError(f"an image of {height} x {width} pixels is smaller than a window of {size} x {size}")


def whole_windows(valid: Tensor | None, size: int) -> Tensor | None:
    """Which windows hold no invalid pixel: [..,H,W] bool -> [..,H-size+1,W-size+1] bool; None for no mask."""
    return None if valid is None else window_sums((~valid).to(torch.int32), size) == 0


def split_blocks(x: Tensor, size: int) -> Tensor:
    """Non-overlapping blocks of [B,H,W], H and W multiples of ``size``: [blocks, B, size * size], row by row."""
    count, height, width = x.shape
    cells = x.reshape(count, height // size, size, width // size, size)
    return cells.permute(1, 3, 0, 2, 4).reshape(-1, count, size * size)


def share_used(valid: Tensor, size: int, *, stride: int = 1, border: Border = 0) -> Tensor:
    """Share of the windows that a windowed index counts: those without an invalid pixel.

    Shapes: valid [N,1,H,W] bool -> [N] float64 in [0, 1].
    Args:
        size, stride: 32 and 1 for :func:`uiqi`, 11 and 1 for :func:`ssim`, 3 and 1 for :func:`scc`, 32 and 32 for the
            block indices (whole blocks only).
    Raises:
        ConfigError, DataError: see :func:`check_window`; valid no bool [N,1,H,W].
    """
    if valid.ndim != 4:
        raise DataError(f"valid must be a bool mask [N,1,H,W], got {list(valid.shape)}")
    check_valid(valid, (valid.shape[0], 1, *valid.shape[2:]))
    rows, columns = cut(border, *valid.shape[-2:])
    valid = valid[:, 0, rows, columns]
    check_window(size, *valid.shape[-2:])
    whole = window_sums((~valid).to(torch.int32), size)[:, ::stride, ::stride] == 0
    return whole.to(torch.float64).mean((1, 2))
