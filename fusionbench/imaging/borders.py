"""Images continued beyond their edges, and sums of shifted images (short filters along one axis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BORDERS = ("circular", "reflect", "replicate", "symmetric")
PIECE = 2**20  # px worked on at a time


def in_pieces(resample: Callable[[Tensor], Tensor], x: Tensor, growth: int = 1) -> Tensor:
    """Apply a resampling of [n, H, W] to x [..., H, W], few planes at a time where they are large (memory, speed).

    Args:
        growth: pixels that ``resample`` makes of one.
    """
    planes = x.reshape(-1, *x.shape[-2:])
    count = max(PIECE // (growth * planes.shape[-2] * planes.shape[-1]), 1)
    parts = [resample(part) for part in planes.split(count)]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.reshape(*x.shape[:-2], *whole.shape[-2:])


def extend(x: Tensor, before: int, after: int, axis: int, border: str) -> Tensor:
    """Continue x along one axis by ``before`` and ``after`` samples (any number; negative ones cut).

    Args:
        x: [...] with at least one sample along ``axis``.
        border: ``circular`` (d c | a b c d | a b), ``reflect`` (c b | a b c d | c b), ``replicate`` (a a | a b c d |
            d d) or ``symmetric`` (b a | a b c d | d c).

    Raises:
        ValueError: unknown border.
    """
    size = x.shape[axis]
    position = torch.arange(-before, size + after, device=x.device)
    if border == "circular":
        index = position % size
    elif border == "replicate":
        index = position.clamp(0, size - 1)
    elif border == "symmetric":
        position = position % (2 * size)
        index = torch.where(position < size, position, 2 * size - 1 - position)
    elif border == "reflect":
        period = max(2 * size - 2, 1)
        position = position % period
        index = torch.where(position < size, position, period - position)
    else:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, not {border!r}")
    return x.index_select(axis, index)


def weighted_sum(x: Tensor, weights: Sequence[float], axis: int, start: int, size: int) -> Tensor:
    """sum_t weights[t] x[start + t : start + t + size] along one axis.

    Slices rather than a convolution layer: exact in float64, and left alone by mixed precision.
    """
    total = x.narrow(axis, start, size) * weights[0]
    for t, weight in enumerate(weights[1:], start=1):
        if weight != 0:
            total = total.add(x.narrow(axis, start + t, size), alpha=weight)
    return total
