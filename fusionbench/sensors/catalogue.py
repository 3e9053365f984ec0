"""Find the records of sensors. Torch-free."""

from __future__ import annotations

import difflib
import importlib.resources
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fusionbench.errors import ConfigError
from fusionbench.sensors.active import Lidar, Radar, read
from fusionbench.sensors.record import Sensor

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def _folder() -> Traversable:
    checkout = Path(__file__).resolve().parents[2] / "configs"
    if (checkout / "train.yaml").is_file():
        return checkout / "sensor"
    return importlib.resources.files("fusionbench") / "configs" / "sensor"


@lru_cache(maxsize=1)
def _kinds() -> dict[str, str]:
    """Id of every record -> its kind."""
    files = [file for file in _folder().iterdir() if file.name[0] != "_" and file.name.endswith(".yaml")]
    kinds = {file.name.removesuffix(".yaml"): _kind(file.read_text(encoding="utf-8")) for file in files}
    return dict(sorted(kinds.items()))


def _kind(text: str) -> str:
    """Value of the line ``kind: ...``; the records of optical sensors have none."""
    return next((line[5:].strip() for line in text.splitlines() if line.startswith("kind:")), "optical")


def sensor_ids(kind: str = "optical") -> tuple[str, ...]:
    """Ids of the sensors that come with fusionbench, sorted; ``kind`` is optical, radar or lidar."""
    return tuple(name for name, one in _kinds().items() if one == kind)


def _record(name: str, kind: str) -> dict[str, Any]:
    known = sensor_ids(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no {kind} sensor {name!r}; {hint}there are {', '.join(known)}")
    record: dict[str, Any] = yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8"))
    record.pop("kind", None)
    return record


@lru_cache(maxsize=64)
def load_sensor(name: str) -> Sensor:
    """The record ``configs/sensor/<name>.yaml`` of an optical sensor.

    Raises:
        ConfigError: no such record (the nearest name is offered), or a record that cannot be.
    """
    return Sensor.from_mapping(_record(name, "optical"))


@lru_cache(maxsize=8)
def load_radar(name: str) -> Radar:
    """The record ``configs/sensor/<name>.yaml`` of a radar.

    Raises:
        ConfigError: no such record, or a record that cannot be.
    """
    return read(Radar, _record(name, "radar"))


@lru_cache(maxsize=8)
def load_lidar(name: str) -> Lidar:
    """The record ``configs/sensor/<name>.yaml`` of a LiDAR.

    Raises:
        ConfigError: no such record, or a record that cannot be.
    """
    return read(Lidar, _record(name, "lidar"))
