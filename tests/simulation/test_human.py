"""Towns: functions, points and users as documented, and the same again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusionbench.errors import ConfigError
from fusionbench.simulation import FUNCTIONS, POINTS, build_town, simulate_zones
from fusionbench.simulation.human import FUNCTION_OF, POINTS_OF, Town, activity, profile
from fusionbench.simulation.streets import REGIONS


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town(4, 512, 1.2)


@pytest.fixture(scope="module")
def zones() -> dict[str, Any]:
    return simulate_zones(4, 384, patch=32)


def test_tables_speak_of_the_same_functions() -> None:
    assert {name for weights in FUNCTION_OF.values() for name in weights} == set(FUNCTIONS)
    assert all(len(rates) == len(POINTS) for rates in POINTS_OF.values())
    assert {use for name in ("centre", "quarter") for use in REGIONS[name].uses} <= set(FUNCTION_OF)


def test_blocks_have_known_proportions(town: Town) -> None:
    np.testing.assert_allclose(town.proportions.sum(1), 1, atol=1e-6)
    mixed = (town.proportions.max(1) < 1).mean()
    assert 0.15 < mixed < 0.45
    assert town.proportions.max(1).min() > 0.5


def test_points_lie_aside_and_some_have_the_wrong_type(town: Town) -> None:
    off = np.linalg.norm(town.points[:, :2] - town.true_points[:, :2], axis=1) * town.scene.pixel
    assert off.min() > 9.9
    assert off.max() < 30.1
    assert 0.04 < (town.points[:, 2] != town.true_points[:, 2]).mean() < 0.18


def test_offices_empty_on_a_day_off_and_homes_do_not() -> None:
    hours = np.arange(24.0)
    assert profile("public", True, hours).mean() < 0.6 * profile("public", False, hours).mean()
    assert profile("residential", True, hours).mean() > profile("residential", False, hours).mean() * 0.95
    assert profile("transport", False, hours).argmax() in (8, 18)


def test_series_are_counts_per_hour(town: Town) -> None:
    week, two = activity(town), activity(town, "two")
    assert week.shape == (len(town.blocks), 168)
    np.testing.assert_allclose(two[:, :24], week.reshape(-1, 7, 24)[:, :5].mean(1), rtol=1e-5)
    assert np.array_equal(week, np.rint(week))
    with pytest.raises(ConfigError, match="week or two"):
        activity(town, "month")


def test_places_of_a_town(zones: dict[str, Any]) -> None:
    count = len(zones["label"])
    assert zones["image"].shape == (count, 3, 32, 32)
    assert zones["poi_maps"].shape == (count, 8, 32, 32)
    assert (zones["proportions"].argmax(1) == zones["label"]).all()
    assert zones["poi"].sum(1).min() == 0  # zero-inflated
    assert np.isfinite(zones["poi_maps"]).all()
    again = simulate_zones(4, 384, patch=32)
    assert all(np.array_equal(zones[key], again[key]) for key in ("image", "activity", "poi", "label", "poi_maps"))


def test_cells_form_a_grid() -> None:
    cells = simulate_zones(4, 384, patch=32, by="cell")
    assert cells["position"].max() < 12
    np.testing.assert_allclose(cells["proportions"].sum(1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match="block or cell"):
        simulate_zones(4, 384, by="street")
