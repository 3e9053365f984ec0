"""Padding to the sizes that a network's strides or windows need."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of ``multiple``: [N,C,H,W] -> [N,C,H',W']."""
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x
