"""Distances to points and shares of zones, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusionbench.imaging import distance_maps, shares_by_zone


def test_distances_to_the_nearest_point_of_a_kind() -> None:
    maps = distance_maps(
        np.array([0.5, 2.9, 9.0]), np.array([0.5, 3.0, 1.0]), np.array([0, 0, 1]), 3, (3, 4), pixel=10.0
    )
    # points of kind 0 in (0, 0) and (2, 3); that of kind 1 lies outside; of kind 2 there is none
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps[0, 0], [0, 10, 20, 20])
    np.testing.assert_allclose(maps[0, 1], [10, np.sqrt(200), np.sqrt(200), 10], rtol=1e-6)
    assert (maps[1:] == 50).all()


def test_every_pixel_against_all_points() -> None:
    rng = np.random.default_rng(0)
    rows, columns, kinds = rng.uniform(0, 20, 30), rng.uniform(0, 25, 30), rng.integers(0, 2, 30)
    maps = distance_maps(rows, columns, kinds, 2, (20, 25), pixel=2.0)
    y, x = np.mgrid[:20, :25]
    for kind in range(2):
        down, right = np.floor(rows[kinds == kind]), np.floor(columns[kinds == kind])
        all_of_them = np.hypot(y[..., None] - down, x[..., None] - right).min(-1)
        np.testing.assert_allclose(maps[kind], 2 * all_of_them, rtol=1e-6)


def test_wrong_points() -> None:
    one = np.zeros(1)
    with pytest.raises(ValueError, match="one of each"):
        distance_maps(one, one, np.zeros(2, int), 1, (2, 2), 1.0)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        distance_maps(one, one, np.array([2]), 2, (2, 2), 1.0)


def test_shares_of_blocks() -> None:
    classes, zones = torch.tensor([0, 0, 1, 2, 1, -1]), torch.tensor([0, 0, 0, 2, -1, 2])
    shares = shares_by_zone(classes, zones, 3)
    torch.testing.assert_close(shares[0], torch.tensor([2 / 3, 1 / 3, 0], dtype=torch.float64))
    assert shares[1].isnan().all()
    assert shares[2].tolist() == [0, 0, 1]
