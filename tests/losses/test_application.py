"""Spectral indices as loss terms."""

from __future__ import annotations

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.losses.application import SpectralIndex

BANDS = [{"center": center} for center in (660, 840)]


def images(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 2, 1, -1)


def test_the_difference_of_ndvi_by_hand():
    term = SpectralIndex("NDVI", BANDS)
    estimate, target = images((0.1, 0.2), (0.3, 0.2)), images((0.1, 0.1), (0.1, 0.3))  # NDVI .5, 0 and 0, .5
    assert term({"output": estimate}, {"target": target}, None).item() == pytest.approx(0.5)
    mask = torch.tensor([[[[True, False]]]])
    assert term({"output": estimate}, {"target": estimate + 0}, mask).item() == 0


def test_a_range_of_minus_one_to_one_gives_the_same():
    estimate, target = torch.rand(2, 2, 4, 4) + 0.1, torch.rand(2, 2, 4, 4) + 0.1
    plain = SpectralIndex("NDVI", BANDS)({"output": estimate}, {"target": target}, None)
    moved = SpectralIndex("NDVI", BANDS, offset=-1.0)({"output": 2 * estimate - 1}, {"target": 2 * target - 1}, None)
    assert moved.item() == pytest.approx(plain.item(), rel=1e-5)


def test_gradients_are_finite_for_dark_and_negative_pixels():
    estimate = torch.tensor([[0.0, -0.2, 0.3], [0.0, 0.1, 0.2]]).reshape(1, 2, 1, 3).requires_grad_()
    SpectralIndex("NDVI", BANDS)({"output": estimate}, {"target": torch.rand(1, 2, 1, 3)}, None).backward()
    assert bool(torch.isfinite(estimate.grad).all())
    assert bool((estimate.grad[..., 2] != 0).all())


def test_a_sensor_without_the_bands_is_refused():
    with pytest.raises(ConfigError, match="NDWI needs a band near 550 nm"):
        SpectralIndex("NDWI", BANDS)
