"""Composites share one stretch."""

from __future__ import annotations

import pytest
import torch

from fusionbench.imaging.composite import composite, stretch, stretch_limits


def test_limits_are_percentiles_of_valid_pixels() -> None:
    image = torch.arange(101.0).reshape(1, 1, 101)
    assert stretch_limits(image, 10, 90).tolist() == [[10.0, 90.0]]
    valid = image < 51
    assert stretch_limits(image, 0, 100, valid=valid).tolist() == [[0.0, 50.0]]


def test_non_finite_pixels_neither_count_nor_spread() -> None:
    image = torch.tensor([[[0.0, 1.0, 2.0, float("nan")]]])
    limits = stretch_limits(image, 0, 100)
    assert limits.tolist() == [[0.0, 2.0]]
    assert composite(image, [0], limits)[0, :, 0].tolist() == [0, 128, 255, 0]


def test_constant_band_has_a_stretch() -> None:
    limits = stretch_limits(torch.full((3, 4, 4), 7.0))
    assert torch.isfinite(stretch(torch.full((3, 4, 4), 7.0), limits)).all()


def test_same_limits_make_pictures_comparable() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(8, 16, 16, generator=generator)
    bands = [4, 2, 1]
    limits = stretch_limits(reference[bands])
    bright = composite(reference + 0.2, bands, limits)
    assert bright.shape == (16, 16, 3)
    assert bright.dtype == torch.uint8
    assert bright.float().mean() > composite(reference, bands, limits).float().mean()


def test_wrong_bands_are_told() -> None:
    image = torch.zeros(4, 8, 8)
    with pytest.raises(ValueError, match="one or three"):
        composite(image, [0, 1], torch.zeros(2, 2))
    with pytest.raises(ValueError, match="image's 4"):
        composite(image, [4, 1, 0], torch.zeros(3, 2))
    with pytest.raises(ValueError, match="no valid pixel"):
        stretch_limits(image, valid=torch.zeros(8, 8, dtype=torch.bool))
