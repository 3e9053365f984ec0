"""Radar and LiDAR: the geometry of a wall worked by hand, and what the documented errors are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusionbench.simulation import scene_for, simulate_lidar, simulate_polsar, simulate_sar
from fusionbench.simulation.radar import _geometry
from fusionbench.simulation.scene import Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_for(3, 64, 2.0, 4)


def test_a_wall_seen_from_the_left_is_laid_over_bright_and_shadows_the_right() -> None:
    height = np.zeros((8, 64), np.float32)
    height[:, 30:34] = 6.0
    flat = np.ones((2, 8, 64), np.float32)
    power, walls, shadow, layover = _geometry(height, np.zeros_like(height), flat, 1.0, math.radians(45))
    assert power[0, 4, 10] == pytest.approx(1.0)
    assert walls[4].argmax() == 29  # the foot of the wall
    assert np.flatnonzero(shadow[4]).tolist() == list(range(34, 39))  # until a ray at 45 degrees is down
    assert np.flatnonzero(layover[4]).tolist() == list(range(24, 28))  # the roof, 6 m nearer to the radar
    assert power[0, 4, 32] == pytest.approx(0.0, abs=1e-6)  # where the roof was


def test_slopes_towards_the_radar_are_brighter() -> None:
    terrain = np.repeat(np.arange(32, dtype=np.float32)[None] * np.float32(0.2), 8, 0)
    flat, zero = np.ones((2, 8, 32), np.float32), np.zeros((8, 32), np.float32)
    towards = _geometry(zero, terrain, flat, 1.0, math.radians(37))[0]
    away = _geometry(zero, -terrain, flat, 1.0, math.radians(37))[0]
    assert towards[0, 4, 16] > 1.1 > 0.9 > away[0, 4, 16]


def test_sar_is_speckled_decibels_by_material(scene: Scene) -> None:
    made = simulate_sar(scene, 2.0, 64)
    sar = made["sar"]
    assert sar.shape == (2, 64, 64)
    assert np.array_equal(sar, simulate_sar(scene, 2.0, 64)["sar"])
    assert (sar[0].mean() - sar[1].mean()) > 4  # VH is the weaker one
    assert sar.min() > -26
    assert 35 <= made["meta"]["incidence"] <= 40
    assert 4 <= made["meta"]["looks"] <= 5
    assert 1 <= made["meta"]["days"] <= 12


def test_polsar_channels_are_powers_and_a_coherence(scene: Scene) -> None:
    sar = simulate_polsar(scene, 2.0, 64)["sar"]
    assert sar.shape == (4, 64, 64)
    assert (np.hypot(sar[2], sar[3]) <= 1 + 1e-5).all()
    assert abs(sar[3].mean()) < 0.05


def test_lidar_errors_are_as_documented(scene: Scene) -> None:
    made = simulate_lidar(scene, 2.0, 64)
    meta = made["meta"]
    assert 0.25 <= math.hypot(*meta["shift"]) <= 0.5
    assert 0.05 <= meta["vertical_sd"] <= 0.15
    assert 0.0 < meta["voids"] <= 0.04
    assert made["valid"].mean() == pytest.approx(1 - meta["voids"], abs=1e-3)
    assert np.isfinite(made["dsm"]).all()
    assert 0 <= made["intensity"].min() <= made["intensity"].max() <= 1
    terrain = scene.terrain.reshape(64, 4, 64, 4).mean((1, 3)) / scene.scale
    above = made["dsm"][0] - terrain
    assert np.corrcoef(above.ravel(), made["ndsm"].ravel())[0, 1] > 0.9
    flat = made["ndsm"][0] == 0
    assert np.abs(np.median(above[flat])) < 0.3
    assert above.mean() < made["ndsm"].mean() + 0.1  # pulses pass into crowns, never above them
