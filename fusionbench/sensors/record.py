"""The record of a sensor: what it sees, how finely, and how sharply. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError

RED, GREEN, BLUE = 660.0, 550.0, 480.0  # nm that a colour composite looks for


@dataclass(frozen=True)
class Band:
    """One spectral band.

    Args:
        name: lower case, e.g. ``red_edge``.
        center: nm.
        width: nm, full width at half maximum.
        mtf: gain of the modulation transfer function at the Nyquist frequency of the MS grid, 0..1.
        array: number of the detector array it lies on; bands of one array see the ground at the same moment.
    """

    name: str
    center: float
    width: float
    mtf: float
    array: int = 0

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any], where: str) -> Band:
        """Read a band; ``where`` names its place in messages.

        Raises:
            ConfigError: a key is missing, or a value is not possible.
        """
        center, width, mtf = (_number(record, key, where) for key in ("center", "width", "mtf"))
        band = cls(str(_get(record, "name", where)), center, width, mtf, int(record.get("array", 0)))
        if not 0.0 < band.mtf < 1.0:
            raise ConfigError(f"{where}.mtf={band.mtf}: a gain at Nyquist lies between 0 and 1, e.g. 0.3")
        return band

    def response(self, wavelengths: np.ndarray, slope: float = 0.12) -> np.ndarray:
        """Relative spectral response of a band with soft edges.

        Args:
            wavelengths: [L] nm.
            slope: width of an edge (10 to 90 %) as a share of the band's width.

        Returns:
            [L] float64 in 0..1; one half at ``center`` -+ ``width`` / 2.
        """
        reach = np.abs(np.asarray(wavelengths, np.float64) - self.center) - self.width / 2.0
        return 1.0 / (1.0 + np.exp(np.clip(4.4 * reach / (slope * self.width), -60.0, 60.0)))


@dataclass(frozen=True)
class Sensor:
    """A sensor with a multispectral (MS) and a panchromatic (PAN) instrument on one platform.

    Args:
        name: its id, the file's stem.
        title: as people write it.
        bands: of MS, in the order of its files.
        pan: the PAN band.
        ratio: PAN pixels per MS pixel, in one direction.
        gsd: ground sampling distance of MS in m.
        bits: of a digital number; full scale is 2^bits - 1.
        source: where the facts come from.
    """

    name: str
    title: str
    bands: tuple[Band, ...]
    pan: Band
    ratio: int
    gsd: float
    bits: int
    source: str = ""

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any]) -> Sensor:
        """Read a record as it stands in ``configs/sensor/<id>.yaml``.

        Args:
            record: keys ``name``, ``title``, ``bands``, ``pan``, ``ratio``, ``gsd``, ``bits``, ``source``.

        Raises:
            ConfigError: a key is missing or unknown, or a value is not possible.
        """
        where = f"sensor {record.get('name', '(no name)')}"
        unknown = set(record) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(
                f"{where}: unknown key {', '.join(sorted(map(str, unknown)))}; "
                f"a record has {', '.join(cls.__dataclass_fields__)}"
            )
        bands = _get(record, "bands", where)
        if not bands:
            raise ConfigError(f"{where}.bands is empty: a sensor has at least one band")
        sensor = cls(
            name=str(_get(record, "name", where)),
            title=str(record.get("title", record["name"])),
            bands=tuple(Band.from_mapping(band, f"{where}.bands[{index}]") for index, band in enumerate(bands)),
            pan=Band.from_mapping(_get(record, "pan", where), f"{where}.pan"),
            ratio=int(_number(record, "ratio", where)),
            gsd=_number(record, "gsd", where),
            bits=int(_number(record, "bits", where)),
            source=str(record.get("source", "")),
        )
        if not 1 <= sensor.bits <= 16:
            raise ConfigError(f"{where}.bits={sensor.bits}: digital numbers have 1 to 16 bits")
        return sensor

    @property
    def mtf_gains(self) -> tuple[float, ...]:
        """MTF gains at Nyquist, one per band."""
        return tuple(band.mtf for band in self.bands)

    @property
    def pan_gain(self) -> float:
        """MTF gain of PAN at the Nyquist frequency of the MS grid, as MTF-matched methods use it."""
        return self.pan.mtf

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Positions of the bands nearest to red, green and blue."""
        centers = np.array([band.center for band in self.bands])
        red, green, blue = (int(np.argmin(np.abs(centers - wanted))) for wanted in (RED, GREEN, BLUE))
        return red, green, blue

    @property
    def full_scale(self) -> int:
        """The largest digital number."""
        return 2**self.bits - 1


def _get(record: Mapping[str, Any], key: str, where: str) -> Any:
    if record.get(key) is None:
        raise ConfigError(f"{where}: the key {key} is missing")
    return record[key]


def _number(record: Mapping[str, Any], key: str, where: str) -> float:
    value = _get(record, key, where)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(f"{where}.{key}={value!r}: must be a number above 0")
    return float(value)
