"""Resizing as deep-learning frameworks do it: bicubic (a = -0.75) or bilinear, not antialiased, on a stated grid."""

from __future__ import annotations

import torch
from torch import Tensor

A = -0.75  # the cubic kernel of TensorFlow and PyTorch; MATLAB's is -0.5


def first_sample(ratio: int, grid: str) -> float:
    """PAN position of MS sample 0: dlpan r/2, area (r-1)/2, and legacy 0 (TensorFlow 1's ``resize_images``)."""
    return {"dlpan": ratio / 2, "area": (ratio - 1) / 2, "legacy": 0.0}[grid]


def enlarge(x: Tensor, ratio: int, first: float, method: str = "bicubic") -> Tensor:
    """[..,H,W] -> [..,rH,rW], sample 0 going to position ``first``; values outside repeat the border.

    ``method``: bicubic | bilinear. With ``first = (ratio - 1) / 2`` equal to PyTorch's ``interpolate`` of half-pixel
    centres, with ``first = 0`` to TensorFlow 1's legacy resize.
    """
    return _resample(x, 1 / ratio, -first / ratio, tuple(side * ratio for side in x.shape[-2:]), method)


def reduce(x: Tensor, ratio: int, first: float) -> Tensor:
    """[..,rH,rW] -> [..,H,W] by bilinear interpolation at ``first``, ``first + ratio``, ...: no antialiasing."""
    return _resample(x, ratio, first, tuple(side // ratio for side in x.shape[-2:]), "bilinear")


def _resample(x: Tensor, scale: float, start: float, size: tuple[int, ...], method: str) -> Tensor:
    for axis, count in zip((-2, -1), size, strict=True):
        position = start + scale * torch.arange(count, dtype=torch.float64, device=x.device)
        below = position.floor()
        weights, reach = _taps(position - below, method)
        parts = []
        for weight, tap in zip(weights, reach, strict=True):
            index = (below.long() + tap).clamp(0, x.shape[axis] - 1)
            weight = weight.to(x.dtype)
            parts.append(x.index_select(axis, index) * (weight[:, None] if axis == -2 else weight))
        x = torch.stack(parts).sum(dim=0)
    return x


def _taps(t: Tensor, method: str) -> tuple[list[Tensor], list[int]]:
    """Weights of the neighbours around a position, ``t`` in [0, 1) beyond the one below."""
    if method == "bilinear":
        return [1 - t, t], [0, 1]

    def near(d: Tensor) -> Tensor:
        return ((A + 2) * d - (A + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((A * d - 5 * A) * d + 8 * A) * d - 4 * A

    return [far(1 + t), near(t), near(1 - t), far(2 - t)], [-1, 0, 1, 2]
