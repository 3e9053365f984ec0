"""Find the records of sensors. Torch-free."""

from __future__ import annotations

import difflib
import importlib.resources
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from fusionbench.errors import ConfigError
from fusionbench.sensors.record import Sensor

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def _folder() -> Traversable:
    checkout = Path(__file__).resolve().parents[2] / "configs"
    if (checkout / "train.yaml").is_file():
        return checkout / "sensor"
    return importlib.resources.files("fusionbench") / "configs" / "sensor"


@lru_cache(maxsize=1)
def sensor_ids() -> tuple[str, ...]:
    """Ids of the sensors that come with fusionbench, sorted."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name[0] != "_"))


@lru_cache(maxsize=64)
def load_sensor(name: str) -> Sensor:
    """The record ``configs/sensor/<name>.yaml``.

    Raises:
        ConfigError: no such record (the nearest name is offered), or a record that cannot be.
    """
    if name not in sensor_ids():
        near = difflib.get_close_matches(name, sensor_ids(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no sensor {name!r}; {hint}there are {', '.join(sensor_ids())}")
    return Sensor.from_mapping(yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8")))
