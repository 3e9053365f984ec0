"""Sensor records against the tables of the fact sheets, and what a wrong record says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusionbench.errors import ConfigError
from fusionbench.sensors import Sensor, load_lidar, load_radar, load_sensor, sensor_ids

# MTF gains at Nyquist of the field's MATLAB toolbox: MS, PAN
GAINS = {
    "quickbird": ([0.34, 0.32, 0.30, 0.22], 0.15),
    "ikonos": ([0.26, 0.28, 0.29, 0.28], 0.17),
    "geoeye1": ([0.23] * 4, 0.16),
    "worldview4": ([0.23] * 4, 0.16),
    "worldview2": ([0.35] * 7 + [0.27], 0.11),
    "worldview3": ([0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315], 0.14),
    "gaofen2": ([0.30] * 4, 0.15),
    "landsat8": ([0.30] * 4, 0.15),
}


DATA = Path(__file__).parents[2] / "configs" / "data"
PANSHARPENING = [
    name
    for name in sensor_ids()
    if (DATA / f"{name}.yaml").is_file() and "_pansharpening" in (DATA / f"{name}.yaml").read_text()
]


@pytest.mark.parametrize("name", sorted(GAINS))
def test_gains_are_the_tables(name: str) -> None:
    sensor = load_sensor(name)
    assert list(sensor.mtf_gains) == GAINS[name][0]
    assert sensor.pan_gain == GAINS[name][1]


@pytest.mark.parametrize("name", PANSHARPENING)
def test_record_is_what_its_data_set_asks_for(name: str) -> None:
    sensor = load_sensor(name)
    data = yaml.safe_load((DATA / f"{name}.yaml").read_text())
    assert sensor.name == name
    assert len(sensor.bands) == data["channels"]["lr"]
    assert sensor.bits == (
        10 if name.startswith("gaofen") else 12 if name in ("pleiades1b", "spot7", "landsat8") else 11
    )
    centers = [band.center for band in sensor.bands]
    assert centers == sorted(centers)
    assert [sensor.bands[index].name for index in sensor.rgb] == ["red", "green", "blue"]


def test_every_data_set_with_a_sensor_has_a_record() -> None:
    wanted = {
        str(entry["/sensor@sensor"])
        for file in DATA.glob("[a-z]*.yaml")
        for entry in yaml.safe_load(file.read_text()).get("defaults", [])
        if isinstance(entry, dict) and "/sensor@sensor" in entry
    }
    assert wanted
    assert wanted <= set(sensor_ids())


@pytest.mark.parametrize("name", sensor_ids())
def test_every_record_names_itself_and_orders_its_bands(name: str) -> None:
    sensor = load_sensor(name)
    assert sensor.name == name
    assert list(sensor.centers) in (sorted(sensor.centers), sorted(sensor.centers, reverse=True))  # cameras: red first
    assert all(360 <= center <= 2510 for center in sensor.centers)
    assert sensor.source


def test_spectrometers_are_given_by_range_count_and_width() -> None:
    counts = {"casi1500": 144, "rosis": 103, "aviris": 196, "prisma": 204}
    assert {name: len(load_sensor(name).bands) for name in counts} == counts
    prisma = load_sensor("prisma")
    assert prisma.ratio == 6
    assert prisma.pan is not None
    assert not [c for c in prisma.centers if 1340 <= c <= 1450 or 1800 <= c <= 1960]
    band = load_sensor("rosis").bands[10]
    edge = band.response(np.array([band.center - band.width / 2, band.center, band.center + band.width / 2]))
    assert edge == pytest.approx([0.5, 1.0, 0.5])


def test_a_sensor_without_pan_says_so_where_pan_is_asked_for() -> None:
    sentinel = load_sensor("sentinel2")
    assert sentinel.pan is None
    assert [sentinel.bands[index].name for index in sentinel.rgb] == ["red", "green", "blue"]
    assert [band.gsd for band in sentinel.bands[:4]] == [60.0, None, None, None]
    with pytest.raises(ConfigError, match="sentinel2 has no PAN"):
        _ = sentinel.pan_gain


def test_radar_and_lidar_have_records_of_their_own() -> None:
    assert load_radar("sentinel1").polarisations == ("VV", "VH")
    assert load_lidar("airborne_lidar").vertical_sd == (0.05, 0.15)
    assert "sentinel1" not in sensor_ids()
    with pytest.raises(ConfigError, match="sentinel1"):
        load_radar("sentinel2")


def test_response_is_one_half_at_the_edges_and_one_inside() -> None:
    pan = load_sensor("worldview3").pan
    response = pan.response(np.array([450.0, 625.0, 800.0, 400.0, 900.0]))
    assert response[[0, 2]] == pytest.approx([0.5, 0.5])
    assert response[1] > 0.999
    assert max(response[3:]) < 0.02


def test_mistakes_name_the_key_and_what_would_be_right() -> None:
    good = {
        "name": "mine", "gsd": 2.0, "ratio": 4, "bits": 11,
        "bands": [{"name": "red", "center": 660, "width": 60, "mtf": 0.3}],
        "pan": {"name": "pan", "center": 625, "width": 350, "mtf": 0.15},
    }  # fmt: skip
    assert Sensor.from_mapping(good).full_scale == 2047
    wrong = {
        "bits": {"bits": 40}, "gsd": {"gsd": 0}, "ratio": {"ratio": None}, "bands": {"bands": []},
        r"bands\[0\].mtf": {"bands": [{"name": "red", "center": 660, "width": 60, "mtf": 1.3}]},
        "unknown key depth": {"depth": 1},
    }  # fmt: skip
    for message, change in wrong.items():
        with pytest.raises(ConfigError, match=message):
            Sensor.from_mapping(good | change)
    with pytest.raises(ConfigError, match="worldview3"):
        load_sensor("worldvew3")


def test_records_need_no_torch() -> None:
    code = "import sys, fusionbench.sensors as s; s.load_sensor('ikonos'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
