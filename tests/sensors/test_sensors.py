"""Sensor records against the tables of the fact sheets, and what a wrong record says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusionbench.errors import ConfigError
from fusionbench.sensors import Sensor, load_sensor, sensor_ids

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


@pytest.mark.parametrize("name", sorted(GAINS))
def test_gains_are_the_tables(name: str) -> None:
    sensor = load_sensor(name)
    assert list(sensor.mtf_gains) == GAINS[name][0]
    assert sensor.pan_gain == GAINS[name][1]


@pytest.mark.parametrize("name", sensor_ids())
def test_record_is_what_its_data_set_asks_for(name: str) -> None:
    sensor = load_sensor(name)
    data = yaml.safe_load((Path(__file__).parents[2] / "configs" / "data" / f"{name}.yaml").read_text())
    assert sensor.name == name
    assert len(sensor.bands) == data["channels"]["lr"]
    assert sensor.bits == (
        10 if name.startswith("gaofen") else 12 if name in ("pleiades1b", "spot7", "landsat8") else 11
    )
    centers = [band.center for band in sensor.bands]
    assert centers == sorted(centers)
    assert [sensor.bands[index].name for index in sensor.rgb] == ["red", "green", "blue"]


def test_every_data_set_with_a_sensor_has_a_record() -> None:
    configs = Path(__file__).parents[2] / "configs" / "data"
    wanted = {
        str(entry["/sensor@sensor"])
        for file in configs.glob("[a-z]*.yaml")
        for entry in yaml.safe_load(file.read_text()).get("defaults", [])
        if isinstance(entry, dict) and "/sensor@sensor" in entry
    }
    assert wanted
    assert wanted <= set(sensor_ids())


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
