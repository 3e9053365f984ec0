"""Tiles with margins: a large pair is fused piece by piece, and the pieces do not show.

A tile's result is that of the whole scene, continued beyond its edges by mirroring (the edge pixel is repeated), as
long as the margin reaches as far as the method sees. The margin, not the tile, meets the network's zero padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Fuse = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Tile:
    """One piece of the output, in output pixels: the core that is kept, without margins."""

    row: int
    column: int
    height: int
    width: int


def tiles(height: int, width: int, tile: int) -> Iterator[Tile]:
    """Cover [height, width] row by row with tiles of ``tile`` px; those at the far edges are smaller."""
    for row in range(0, height, tile):
        for column in range(0, width, tile):
            yield Tile(row, column, min(tile, height - row), min(tile, width - column))


def reach_out(start: int, stop: int, margin: int, unit: int) -> tuple[int, int]:
    """[start, stop) widened by ``margin`` on both sides and then to multiples of ``unit``."""
    return (start - margin) // unit * unit, -(-(stop + margin) // unit) * unit


def mirror(start: int, stop: int, size: int) -> Tensor:
    """Indices into an axis of ``size`` px for the positions [start, stop) of its mirrored continuation; int64."""
    position = torch.arange(start, stop) % (2 * size)
    return torch.where(position < size, position, 2 * size - 1 - position)


def fuse_tiled(fuse: Fuse, lr: Tensor, guide: Tensor, ratio: int, *, tile: int, margin: int, unit: int = 1) -> Tensor:
    """Fuse a pair tile by tile: lr [N,B,h,w], guide [N,G,H,W] with H = ratio h -> [N,B,H,W].

    Args:
        fuse: the method, (lr, guide) -> fused of the guide's size.
        tile: side of a tile, px of the guide's grid.
        margin: px of the guide's grid read around each tile; at least the method's receptive radius.
        unit: the method's windows or strides start at multiples of this many px.
    """
    unit = math.lcm(unit, ratio)
    height, width = guide.shape[-2:]
    fused = []
    for piece in tiles(height, width, tile):
        top, bottom = reach_out(piece.row, piece.row + piece.height, margin, unit)
        left, right = reach_out(piece.column, piece.column + piece.width, margin, unit)
        output = fuse(
            mirrored(lr, (top // ratio, bottom // ratio), (left // ratio, right // ratio)),
            mirrored(guide, (top, bottom), (left, right)),
        )
        row, column = piece.row - top, piece.column - left
        fused.append((piece, output[..., row : row + piece.height, column : column + piece.width]))
    result = fused[0][1].new_empty(*fused[0][1].shape[:-2], height, width)
    for piece, part in fused:
        result[..., piece.row : piece.row + piece.height, piece.column : piece.column + piece.width] = part
    return result


def mirrored(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """The window [rows) x [columns) of x [...,H,W], which may lie outside of it, on its mirrored continuation."""
    down, across = mirror(*rows, x.shape[-2]).to(x.device), mirror(*columns, x.shape[-1]).to(x.device)
    return x.index_select(-2, down).index_select(-1, across)


def receptive_radius(
    fuse: Fuse, bands: int, ratio: int, *, guide_bands: int = 1, unit: int = 1, limit: int = 256
) -> int | None:
    """How far, in px of the guide's grid, an input pixel can lie from an output pixel that it changes.

    Found by differentiation on random input (two seeds, float32): the extent of the non-zero gradient of one block of
    ``unit`` px. ``fuse`` must be differentiable, and in evaluation mode.

    Returns:
        The largest distance along an axis, or None if it exceeds ``limit`` px (a method that looks at the whole scene).
    """
    unit = math.lcm(unit, ratio)
    size = 0
    while size < 2 * limit + unit:
        size = -(-max(2 * size, 96) // unit) * unit
        reaches = [_reach(fuse, bands, guide_bands, ratio, unit, size, seed) for seed in (0, 1)]
        if all(reach is not None for reach in reaches):
            return max(reach for reach in reaches if reach is not None)
    return None


def _reach(fuse: Fuse, bands: int, guide_bands: int, ratio: int, unit: int, size: int, seed: int) -> int | None:
    """Reach of the inputs around the middle block of a size x size output; None if it touches the border."""
    generator = torch.Generator().manual_seed(seed)
    lr = torch.rand(1, bands, size // ratio, size // ratio, generator=generator).requires_grad_()
    guide = torch.rand(1, guide_bands, size, size, generator=generator).requires_grad_()
    start = size // 2 // unit * unit
    with torch.enable_grad():
        block = fuse(lr, guide)[..., start : start + unit, start : start + unit]
        weight = torch.rand(block.shape, generator=generator)
        gradients = torch.autograd.grad((block * weight).sum(), (lr, guide), allow_unused=True)
    reach = 0
    for gradient, step in zip(gradients, (ratio, 1), strict=True):
        if gradient is None:
            continue
        touched = (gradient != 0).any(dim=1)[0]
        for axis in (0, 1):
            where = touched.any(dim=axis).nonzero().flatten()
            if where.numel() == 0:
                continue
            first, last = int(where[0]), int(where[-1])
            if first == 0 or (last + 1) * step == size:
                return None
            reach = max(reach, start - first * step, (last + 1) * step - (start + unit))
    return reach
