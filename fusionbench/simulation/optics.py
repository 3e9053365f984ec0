"""What an instrument does to radiance: spectral bands, point spread, sampling, noise, digital numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from fusionbench.sensors import Band
from fusionbench.simulation.light import Atmosphere, solar_irradiance
from fusionbench.simulation.materials import WAVELENGTHS, band_tables


@dataclass(frozen=True)
class BandView:
    """A scene's materials and light as one band sees them: tables over labels, and scalars of the light.

    Radiance is in units of apparent reflectance: path + transmittance * reflectance * (direct and diffuse light).
    """

    mean: np.ndarray
    aged: np.ndarray
    tinted: np.ndarray
    direct: float
    diffuse: float
    path: float


def view(band: Band, air: Atmosphere) -> BandView:
    """Integrate the library and the light over a band's response."""
    response = band.response(WAVELENGTHS) * solar_irradiance(WAVELENGTHS)
    weights = response / response.sum()
    through = float(air.transmittance(WAVELENGTHS) @ weights)
    sky = float(air.diffuse(WAVELENGTHS) @ weights)
    path = float(air.path(WAVELENGTHS) @ weights)
    mean, aged, tinted = band_tables(response)
    return BandView(mean, aged, tinted, round(through * (1 - sky), 6), round(through * sky, 6), round(path, 6))


def gaussian_taps(gain: float, nyquist: float, averaged: float) -> np.ndarray:
    """Taps of a Gaussian that, with a mean over 2 px of the scene's grid, leaves ``gain`` at a frequency.

    Args:
        gain: wanted modulation transfer at ``nyquist``, 0..1.
        nyquist: cycles per px of the grid that is filtered.
        averaged: the same frequency in cycles per px of the scene's grid.

    Returns:
        [2k+1] float64, sum 1.

    Raises:
        ValueError: the mean alone already leaves less than ``gain``.
    """
    already = math.cos(math.pi * averaged)
    if gain >= already:
        raise ValueError(f"gain {gain} at {nyquist} cycles/px: averaging 2 px alone leaves {already:.3f}")
    sigma = math.sqrt(-math.log(gain / already) / 2) / (math.pi * nyquist)
    reach = math.ceil(4.5 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.round(taps / taps.sum(), 12)


def blur(image: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Separable filter of [H, W] float32 with mirrored borders, summed in double precision."""
    return correlate1d(correlate1d(image, taps, axis=0, mode="reflect"), taps, axis=1, mode="reflect")


def halve(image: np.ndarray) -> np.ndarray:
    """Mean of 2x2 px."""
    rows = image[0::2] + image[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)


def sample(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cubic (a = -0.5, Keys, IEEE TASSP 29(6), 1981) interpolation at fractional positions, borders repeated.

    Args:
        image: [H, W] float32.
        rows, columns: positions in px, any one shape.

    Returns:
        values of that shape, float32.
    """
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    along_r, along_c = _keys((rows - top).astype(np.float32)), _keys((columns - left).astype(np.float32))
    height, width = image.shape
    out = np.zeros(rows.shape, np.float32)
    for i in range(4):
        line = np.clip(top + (i - 1), 0, height - 1) * width
        part = np.zeros(rows.shape, np.float32)
        for j in range(4):
            part += along_c[j] * image.ravel().take(line + np.clip(left + (j - 1), 0, width - 1))
        out += along_r[i] * part
    return out


def _keys(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    half = np.float32(0.5)
    square, cube = t * t, t * t * t
    return (
        half * (-cube + 2 * square - t),
        half * (3 * cube - 5 * square + 2),
        half * (-3 * cube + 4 * square + t),
        half * (cube - square),
    )


def digitise(
    radiance: np.ndarray, gain: float, offset: float, snr: float, rng: np.random.Generator, top: int
) -> np.ndarray:
    """Digital numbers of radiance with read-out and photon noise.

    Args:
        radiance: [H, W] apparent reflectance.
        gain: DN per unit.
        offset: DN.
        snr: signal-to-noise ratio at the mean radiance; a third of the noise power does not depend on the signal.
        rng: source of the noise.
        top: largest digital number.

    Returns:
        [H, W] uint16.
    """
    mean = round(float(radiance.mean(dtype=np.float64)), 5)
    power = (mean / snr) ** 2
    sd = np.sqrt(np.float32(power / 3) + radiance * np.float32(power / mean * 2 / 3))
    noisy = (radiance + sd * rng.standard_normal(radiance.shape, np.float32)) * np.float32(gain) + np.float32(offset)
    return np.clip(np.rint(noisy), 0, top).astype(np.uint16)
