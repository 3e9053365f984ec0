"""The spectral library: possible reflectance, known features, metamers on purpose."""

from __future__ import annotations

import numpy as np

from fusionbench.sensors import load_sensor
from fusionbench.simulation.check import metamers
from fusionbench.simulation.light import Atmosphere, solar_irradiance, sun_at
from fusionbench.simulation.materials import CLASSES, WAVELENGTHS, band_tables, labels, library


def at(curve: np.ndarray, wavelength: float) -> float:
    return float(np.interp(wavelength, WAVELENGTHS, curve))


def test_there_are_enough_materials_of_enough_classes() -> None:
    assert len(library()) >= 24
    assert {material.category for material in library()} == set(CLASSES)
    assert len(CLASSES) >= 8
    assert len(labels()) == len(library()) < 256


def test_reflectance_is_possible_and_varies_in_two_ways() -> None:
    for material in library():
        assert 0 < material.reflectance.min() < material.reflectance.max() < 0.95, material.name
        parts = np.stack([material.first, material.second])
        assert np.linalg.matrix_rank(parts, 1e-6) == 2, material.name


def test_known_absorptions_are_there() -> None:
    curves = {material.name: material.reflectance for material in library()}
    tree, lake, soil = curves["broadleaf_tree"], curves["lake_clear"], curves["red_soil"]
    assert at(tree, 550) > at(tree, 670)
    assert at(tree, 830) > 8 * at(tree, 670)
    assert at(tree, 1450) < 0.5 * at(tree, 1250)
    assert at(lake, 480) > 3 * at(lake, 900)
    assert at(soil, 660) > 2 * at(soil, 450)


def test_metamers_stand_and_lie() -> None:
    pairs = metamers()
    assert ("roof_concrete", "concrete") in pairs
    assert ("broadleaf_tree", "shrub") in pairs


def test_shadow_is_bluer_and_eight_to_twenty_five_percent_of_sunlight() -> None:
    air = Atmosphere(0.06, 3.0, 0.02)
    diffuse = air.diffuse(np.array([480.0, 550.0, 660.0, 830.0]))
    assert list(diffuse) == sorted(diffuse, reverse=True)
    assert diffuse.min() > 0.08
    assert diffuse.max() < 0.25


def test_band_tables_are_weighted_means() -> None:
    response = load_sensor("worldview3").bands[4].response(WAVELENGTHS) * solar_irradiance(WAVELENGTHS)
    mean, _, _ = band_tables(response)
    tree = library()[labels()["broadleaf_tree"]].reflectance
    assert mean[labels()["broadleaf_tree"]] == np.float32(np.round(tree @ response / response.sum(), 6))


def test_sun_stands_in_the_south_at_noon_as_high_as_the_season_says() -> None:
    noon = sun_at(172, 45.0, 12.0)
    assert noon.elevation == 90 - 45 + 23.45 or abs(noon.elevation - 68.45) < 0.05
    assert abs(noon.azimuth - 180) < 1e-6
    assert sun_at(172, 45.0, 10.5).azimuth < 180
