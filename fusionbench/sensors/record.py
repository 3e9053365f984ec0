"""The record of a sensor: what it sees, how finely, and how sharply. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        gsd: m, where it is not the sensor's.
        shape: ``box`` with soft edges (filters) or ``gaussian`` (spectrometers).
    """

    name: str
    center: float
    width: float
    mtf: float
    array: int = 0
    gsd: float | None = None
    shape: str = "box"

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any], where: str) -> Band:
        """Read a band; ``where`` names its place in messages.

        Raises:
            ConfigError: a key is missing, or a value is not possible.
        """
        center, width, mtf = (_number(record, key, where) for key in ("center", "width", "mtf"))
        gsd = None if record.get("gsd") is None else _number(record, "gsd", where)
        band = cls(str(_get(record, "name", where)), center, width, mtf, int(record.get("array", 0)), gsd)
        if not 0.0 < band.mtf < 1.0:
            raise ConfigError(f"{where}.mtf={band.mtf}: a gain at Nyquist lies between 0 and 1, e.g. 0.3")
        return band

    def response(self, wavelengths: np.ndarray, slope: float = 0.12) -> np.ndarray:
        """Relative spectral response.

        Args:
            wavelengths: [L] nm.
            slope: width of a box's edge (10 to 90 %) as a share of the band's width.

        Returns:
            [L] float64 in 0..1; one half at ``center`` -+ ``width`` / 2.
        """
        reach = np.abs(np.asarray(wavelengths, np.float64) - self.center) - self.width / 2.0
        if self.shape == "gaussian":
            return np.asarray(0.5 ** (((reach + self.width / 2.0) / (self.width / 2.0)) ** 2))
        return 1.0 / (1.0 + np.exp(np.clip(4.4 * reach / (slope * self.width), -60.0, 60.0)))


@dataclass(frozen=True)
class Sensor:
    """An optical sensor: multispectral (MS) or hyperspectral (HS), with or without a panchromatic (PAN) instrument.

    Args:
        name: its id, the file's stem.
        title: as people write it.
        bands: of MS or HS, in the order of its files.
        pan: the PAN band; None without one.
        ratio: PAN pixels per MS pixel, in one direction; 1 without PAN.
        gsd: ground sampling distance of MS or HS in m.
        bits: of a digital number; full scale is 2^bits - 1.
        source: where the facts come from.
    """

    name: str
    title: str
    bands: tuple[Band, ...]
    pan: Band | None
    ratio: int
    gsd: float
    bits: int
    source: str = ""

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any]) -> Sensor:
        """Read a record as it stands in ``configs/sensor/<id>.yaml``.

        Args:
            record: keys ``name``, ``title``, ``bands``, ``pan``, ``ratio``, ``gsd``, ``bits``, ``source``. An entry of
                ``bands`` with ``range`` (nm of the first and last centre), ``count``, ``width`` (nm), ``mtf`` and
                ``absent`` (ranges in nm that its product leaves out) stands for a spectrometer's many bands.

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
        pan = None if record.get("pan") is None else Band.from_mapping(record["pan"], f"{where}.pan")
        sensor = cls(
            name=str(_get(record, "name", where)),
            title=str(record.get("title", record["name"])),
            bands=tuple(one for index, band in enumerate(bands) for one in _bands(band, f"{where}.bands[{index}]")),
            pan=pan,
            ratio=1 if pan is None else int(_number(record, "ratio", where)),
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
    def panchromatic(self) -> Band:
        """The PAN band.

        Raises:
            ConfigError: the sensor has none.
        """
        if self.pan is None:
            raise ConfigError(f"sensor {self.name} has no PAN band: it has no part in pansharpening")
        return self.pan

    @property
    def pan_gain(self) -> float:
        """MTF gain of PAN at the Nyquist frequency of the MS grid, as MTF-matched methods use it."""
        return self.panchromatic.mtf

    @property
    def centers(self) -> tuple[float, ...]:
        """Centre wavelengths in nm, one per band."""
        return tuple(band.center for band in self.bands)

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Positions of the bands nearest to red, green and blue."""
        centers = np.array(self.centers)
        red, green, blue = (int(np.argmin(np.abs(centers - wanted))) for wanted in (RED, GREEN, BLUE))
        return red, green, blue

    @property
    def full_scale(self) -> int:
        """The largest digital number."""
        return 2**self.bits - 1


def spectrometer(
    low: float,
    high: float,
    count: int,
    width: float | None = None,
    mtf: float = 0.3,
    absent: Sequence[Sequence[float]] = (),
) -> tuple[Band, ...]:
    """The evenly spaced Gaussian bands of a spectrometer.

    Args:
        low, high: nm, centres of the first and the last band.
        count: of bands.
        width: nm, full width at half maximum; None: the distance between bands.
        mtf: gain at Nyquist.
        absent: ranges in nm whose bands the product leaves out, as those of water vapour.
    """
    step = (high - low) / max(count - 1, 1)
    centers = [round(low + index * step, 3) for index in range(count)]
    return tuple(
        Band(f"b{index + 1:03d}", center, step if width is None else width, mtf, shape="gaussian")
        for index, center in enumerate(centers)
        if not any(a <= center <= b for a, b in absent)
    )


def _bands(record: Mapping[str, Any], where: str) -> tuple[Band, ...]:
    if "range" not in record:
        return (Band.from_mapping(record, where),)
    wanted = {"range", "count", "width", "mtf", "absent"}
    if set(record) - wanted:
        raise ConfigError(f"{where}: unknown key {', '.join(sorted(set(record) - wanted))}; a range has {wanted}")
    low, high = record["range"]
    if not 0 < low <= high:
        raise ConfigError(f"{where}.range={[low, high]}: centres of the first and last band in nm, e.g. [400, 1000]")
    count, width, mtf = (_number(record, key, where) for key in ("count", "width", "mtf"))
    return spectrometer(low, high, int(count), width, mtf, record.get("absent", ()))


def _get(record: Mapping[str, Any], key: str, where: str) -> Any:
    if record.get(key) is None:
        raise ConfigError(f"{where}: the key {key} is missing")
    return record[key]


def _number(record: Mapping[str, Any], key: str, where: str) -> float:
    value = _get(record, key, where)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(f"{where}.{key}={value!r}: must be a number above 0")
    return float(value)
