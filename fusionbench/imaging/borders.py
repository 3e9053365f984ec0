"""Images continued beyond their edges, and sums of shifted images (short filters along one axis)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BORDERS = ("circular", "reflect", "replicate", "symmetric")


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
            total = total + x.narrow(axis, start + t, size) * weight
    return total
