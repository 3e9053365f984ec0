"""Shadows and slopes of a wall and a plane, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fusionbench.simulation.light import Sun, cast_shadow, sky_view, slope_light

EAST_45 = Sun(east=0.5**0.5, north=0.0, up=0.5**0.5, elevation=45.0, azimuth=90.0)


def test_a_wall_casts_its_own_height_at_45_degrees() -> None:
    height = np.zeros((32, 64), np.float32)
    height[:, 40:43] = 10.0
    shadow = cast_shadow(height, 1.0, EAST_45, 0.5)
    dark = np.flatnonzero(shadow[16] > 0.9)
    assert dark.min() in (30, 31, 32)  # light from the east: the shadow lies to the west, about 10 m long
    assert dark.max() == 39
    assert not shadow[:, 43:].any()
    assert not shadow[:, 40].any()


def test_slopes_facing_the_sun_get_more_light() -> None:
    rising_west = np.repeat(np.arange(20, dtype=np.float32)[None] * np.float32(-0.5), 20, 0)
    lit = slope_light(rising_west, 1.0, EAST_45)
    assert lit[5, 5] == pytest.approx((1 + 0.5) / np.sqrt(1.25), rel=1e-5)
    assert slope_light(np.zeros((4, 4), np.float32), 1.0, EAST_45) == pytest.approx(1.0)


def test_a_courtyard_sees_less_sky_than_its_roofs() -> None:
    height = np.full((64, 64), 15.0, np.float32)
    height[24:40, 24:40] = 0
    view = sky_view(height, 1.0, 12.0)
    assert view[32, 32] < 0.8
    assert view[0, 0] == 1.0
