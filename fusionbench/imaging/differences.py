"""Forward differences, their adjoints, and the Laplacian of variational models."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def difference(x: Tensor, axis: int) -> Tensor:
    """x[i + 1] - x[i] along an axis; the last one wraps to the first. Same shape."""
    return x.roll(-1, axis) - x


def difference_adjoint(x: Tensor, axis: int) -> Tensor:
    """Adjoint of ``difference``: x[i - 1] - x[i]."""
    return x.roll(1, axis) - x


def gradients(ms: Tensor, pan: Tensor) -> Tensor:
    """Differences of a pair along the rows, then down the columns: [N,B,H,W], [N,1,H,W] -> [N,2(B+1),H,W].

    Channel order: across of the B bands, across of PAN, down of the B bands, down of PAN.
    """
    both = torch.cat([ms, pan], dim=1)
    return torch.cat([difference(both, -1), difference(both, -2)], dim=1)


def laplacian(x: Tensor) -> Tensor:
    """Sum of the second differences of x [N,C,H,W] along both axes, border rows [-1 1]; its own adjoint."""
    around = pad(x, (1, 1, 1, 1), mode="replicate")
    across = around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
    down = around[..., :-2, 1:-1] + around[..., 2:, 1:-1]
    return across + down - 4 * x
