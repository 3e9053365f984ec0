"""Records of sensors that bring their own light: radar and LiDAR. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from fusionbench.errors import ConfigError


@dataclass(frozen=True)
class Radar:
    """A side-looking imaging radar.

    Args:
        name: its id, the file's stem.
        title: as people write it.
        gsd: m, of the ground-range product.
        frequency: GHz.
        polarisations: in the order of its files.
        incidence: range of incidence angles on level ground, degrees.
        looks: range of the equivalent number of looks.
        floor: noise-equivalent backscatter, dB.
        source: where the facts come from.
    """

    name: str
    title: str
    gsd: float
    frequency: float
    polarisations: tuple[str, ...]
    incidence: tuple[float, float]
    looks: tuple[float, float]
    floor: float
    source: str = ""


@dataclass(frozen=True)
class Lidar:
    """An airborne laser scanner, gridded.

    Args:
        name: its id, the file's stem.
        title: as people write it.
        gsd: m, of the grid.
        wavelength: nm, of the laser.
        vertical_sd: range of the standard deviation of heights, m.
        source: where the facts come from.
    """

    name: str
    title: str
    gsd: float
    wavelength: float
    vertical_sd: tuple[float, float]
    source: str = ""


T = TypeVar("T", Radar, Lidar)


def read(kind: type[T], record: Mapping[str, Any]) -> T:
    """Read a record as it stands in ``configs/sensor/<id>.yaml``, without its key ``kind``.

    Raises:
        ConfigError: a key is missing or unknown.
    """
    known = [field.name for field in fields(kind)]
    where = f"sensor {record.get('name', '(no name)')}"
    if set(record) - set(known):
        raise ConfigError(
            f"{where}: unknown key {', '.join(sorted(set(record) - set(known)))}; it has {', '.join(known)}"
        )
    missing = [key for key in known if key not in record and key != "source"]
    if missing:
        raise ConfigError(f"{where}: the key {missing[0]} is missing")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    return kind(**values)
