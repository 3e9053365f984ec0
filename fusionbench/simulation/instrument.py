"""The true instrument behind a sensor's record: one per sensor, near what the record says, the same in all scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusionbench.sensors import Sensor
from fusionbench.simulation.noise import stream

GAIN_SPREAD = 0.1  # true MTF gains lie within 10 % of the record's, so that no method is given the truth
ARRAY_SD, BAND_SD = 0.18, 0.03  # MS px, between detector arrays, and among the bands of one
SNR_MS, SNR_PAN = (100.0, 200.0), (60.0, 105.0)


@dataclass(frozen=True)
class Instrument:
    """Facts of an instrument that no method is told.

    Args:
        gains: true MTF gains at Nyquist: of MS at MS's sampling, last of PAN at PAN's.
        band_shifts: [B, 2] MS px (rows, columns): where each band looks beside MS as a whole.
        snr: signal-to-noise ratio at mean radiance, of the MS bands and, last, of PAN.
        scales: DN per unit of apparent reflectance, of the MS bands and PAN.
        offsets: DN of darkness, of the MS bands and PAN.
    """

    gains: tuple[float, ...]
    band_shifts: np.ndarray
    snr: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]


def instrument_of(sensor: Sensor) -> Instrument:
    """The instrument of a sensor, drawn from its name."""
    rng = stream(0, f"instrument {sensor.name}")
    bands = (*sensor.bands, sensor.panchromatic)
    arrays = np.array([band.array for band in sensor.bands])
    apart = rng.normal(0, ARRAY_SD, (int(arrays.max()) + 1, 2))
    apart[0] = 0
    return Instrument(
        gains=tuple(round(band.mtf * (1 + rng.uniform(-GAIN_SPREAD, GAIN_SPREAD)), 6) for band in bands),
        band_shifts=np.round(apart[arrays] + rng.normal(0, BAND_SD, (len(arrays), 2)), 6),
        snr=(*(round(rng.uniform(*SNR_MS), 3) for _ in sensor.bands), round(rng.uniform(*SNR_PAN), 3)),
        scales=tuple(sensor.full_scale / full_reflectance(band.center) for band in bands),
        offsets=tuple(round(rng.uniform(0.0, 0.004) * sensor.full_scale, 3) for _ in bands),
    )


def full_reflectance(wavelength: float) -> float:
    """Apparent reflectance of the largest digital number, by wavelength in nm: plants need room beyond 700."""
    return 0.74 if wavelength < 690 else 0.85 if wavelength < 760 else 1.0
