"""Clouds hide what they say they hide, shadows lie where the sun puts them, and clear dates lie near."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusionbench.errors import ConfigError
from fusionbench.sensors import load_sensor
from fusionbench.simulation import add_clouds, scene_for, simulate_cloudy


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return simulate_cloudy(5, 96, cover=0.4)


def test_cover_is_as_asked_and_masks_are_apart(made: dict[str, Any]) -> None:
    assert made["cloud"].mean() == pytest.approx(0.4, abs=0.04)
    assert not (made["cloud"] & made["shadow"]).any()
    assert made["cloudy"].shape == made["clear"].shape == (13, 96, 96)
    assert made["sar"].shape == (2, 96, 96)
    assert 2 <= made["meta"]["days"] <= 10 < made["meta"]["days_nearby"]


def test_clear_pixels_of_two_dates_differ_little_and_the_farther_date_more(made: dict[str, Any]) -> None:
    free = (made["cloud"][0] == 0) & (made["shadow"][0] == 0)
    near = np.abs(made["cloudy"] - made["clear"])[:, free].mean() / 1e4
    assert 0.004 < near < 0.02
    assert np.abs(made["nearby"] - made["clear"]).mean() > np.abs(made["truth"] - made["clear"]).mean()
    hidden = made["thickness"][0] > 1.2
    assert np.abs(made["cloudy"] - made["clear"])[:, hidden].mean() / 1e4 > 5 * near


def test_thin_clouds_let_the_infrared_through_and_shadows_fall_away_from_the_sun() -> None:
    scene, bands = scene_for(1, 64, 10.0), load_sensor("sentinel2").bands
    image = np.full((len(bands), 64, 64), 2000, np.float32)
    found = add_clouds(image, bands, scene, 10.0, 3, 0.3)
    thin = (found["thickness"][0] > 0.1) & (found["thickness"][0] < 0.8)
    brighter = add_clouds(image + 1000, bands, scene, 10.0, 3, 0.3)["image"]
    through = (brighter - found["image"])[:, thin].mean(1) / 1000
    assert 0.3 < through[1] < through[12] - 0.05  # blue against 2.2 um
    untouched = (found["thickness"][0] == 0) & (found["shadow"][0] == 0)
    assert np.abs(found["image"] - image)[:, untouched].max() < 400
    rows, columns = found["meta"]["displacement"]
    assert columns * scene.sun.east > 0
    assert rows * scene.sun.north < 0


def test_a_cover_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cover=1\.5"):
        simulate_cloudy(1, 32, cover=1.5)
