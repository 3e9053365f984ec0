"""Tiles cover, mirrors continue, and the result does not depend on the tile size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from fusionbench.imaging.tiling import fuse_tiled, mirror, reach_out, receptive_radius, tiles


@pytest.mark.parametrize("size", [(64, 64), (65, 33), (1, 100)])
@pytest.mark.parametrize("tile", [1, 16, 40, 200])
def test_tiles_cover_once(size: tuple[int, int], tile: int) -> None:
    count = np.zeros(size, int)
    for piece in tiles(*size, tile):
        count[piece.row : piece.row + piece.height, piece.column : piece.column + piece.width] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("size", [1, 3, 10])
def test_mirror_is_symmetric_padding(size: int) -> None:
    expected = np.pad(np.arange(size), 25, mode="symmetric")
    np.testing.assert_array_equal(mirror(-25, size + 25, size).numpy(), expected)


def test_reach_out_keeps_the_phase() -> None:
    assert reach_out(0, 10, 5, 4) == (-8, 16)
    assert reach_out(8, 16, 0, 4) == (8, 16)


def blur(lr: Tensor, guide: Tensor) -> Tensor:
    """Nearest upsampling plus a 7x7 zero-padded convolution of the guide: radius 3."""
    return interpolate(lr, scale_factor=4, mode="nearest") + conv2d(guide, torch.ones(1, 1, 7, 7) / 49, padding=3)


def windows(lr: Tensor, guide: Tensor) -> Tensor:
    """A mean over windows of 8 px that start at multiples of 8: position counts."""
    pooled = interpolate(avg_pool2d(guide, 8, ceil_mode=True), scale_factor=8, mode="nearest")
    return interpolate(lr, scale_factor=4, mode="nearest") + pooled[..., : guide.shape[-2], : guide.shape[-1]]


@pytest.mark.parametrize("tile", [4, 20, 33, 64, 500])
@pytest.mark.parametrize(("fuse", "unit"), [(blur, 1), (windows, 8)])
def test_result_does_not_depend_on_the_tile(fuse: torch.nn.Module, unit: int, tile: int) -> None:
    lr, guide = torch.rand(1, 3, 17, 22), torch.rand(1, 1, 68, 88)
    whole = fuse_tiled(fuse, lr, guide, 4, tile=1000, margin=12, unit=unit)
    torch.testing.assert_close(fuse_tiled(fuse, lr, guide, 4, tile=tile, margin=12, unit=unit), whole)
    torch.testing.assert_close(fuse(lr, guide)[..., 8:64, 8:80], whole[..., 8:64, 8:80])


def test_receptive_radius() -> None:
    assert receptive_radius(blur, 3, 4) == 3
    assert receptive_radius(windows, 3, 4, unit=8) == 0
    assert receptive_radius(lambda lr, guide: blur(lr, guide) + guide.mean(), 3, 4, limit=64) is None
