"""Statistics of a PAN / MS pair that make fusion easy or hard; the same code measures simulated and real scenes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import uniform_filter

from fusionbench.sensors import Sensor

LOCAL = 5  # MS px, window in which contrasts are compared


def measure(sensor: Sensor, ms: np.ndarray, pan: np.ndarray) -> dict[str, float]:
    """Statistics of one registered scene.

    Args:
        sensor: its record.
        ms: [B, h, w] DN.
        pan: [1, r h, r w] DN on the area grid.

    Returns:
        name -> value. ``r2``: of PAN, averaged to the MS grid, regressed on the MS bands; ``r2_detail``: the same after
        5x5 means are taken off; ``detail_*``: correlation of those details, band by band, and what bands outside PAN's
        response lack of it; ``adjacent_*``: correlation
        of neighbouring visible bands; ``red_nir``: of red and the first band beyond 750 nm; ``slope``: of the PAN power
        spectrum from .02 to .2 cycles/px, ``slope_nyquist`` from .25 to .45; ``dark_blue``, ``dark_nir``: 1st
        percentile over mean; ``inverted``: share of pixels with PAN and near infrared anticorrelated in 5x5 px;
        ``cv_*``: coefficient of variation; ``level_*``: mean over full scale; ``saturated``: share of pixels.
    """
    bands = ms.astype(np.float64)
    coarse = _mean(pan[0].astype(np.float64), sensor.ratio)
    details = np.stack([band - uniform_filter(band, 5) for band in bands])
    detail = coarse - uniform_filter(coarse, 5)
    correlation = [float(np.corrcoef(one.ravel(), detail.ravel())[0, 1]) for one in details]
    centers = [band.center for band in sensor.bands]
    visible = [index for index, center in enumerate(centers) if center < 690]
    adjacent = [_r(bands[a], bands[b]) for a, b in pairwise(visible)]
    outside = [abs(center - sensor.panchromatic.center) > sensor.panchromatic.width / 2 for center in centers]
    infrared = next(index for index, center in enumerate(centers) if center > 750)
    red, _, blue = sensor.rgb
    low, high = spectrum_slope(pan[0], 0.02, 0.2), spectrum_slope(pan[0], 0.25, 0.45)
    spread = bands.std((1, 2)) / bands.mean((1, 2))
    level = bands.mean((1, 2)) / sensor.full_scale
    top = sensor.full_scale
    lack = np.mean(np.compress(outside, correlation)) - np.mean(correlation) if any(outside) else 0.0
    return {
        "r2": _r2(coarse, bands), "r2_detail": _r2(detail, details),
        "detail_lowest": min(correlation), "detail_highest": max(correlation), "detail_nir": correlation[infrared],
        "detail_outside": float(lack),
        "adjacent_lowest": min(adjacent), "adjacent_highest": max(adjacent),
        "red_nir": _r(bands[red], bands[infrared]), "slope": low, "slope_nyquist": high,
        "dark_blue": _dark(bands[blue]), "dark_nir": _dark(bands[infrared]),
        "inverted": _inverted(coarse, bands[infrared]),
        "cv_lowest": float(spread.min()), "cv_highest": float(spread.max()),
        "level_lowest": float(level.min()), "level_highest": float(level.max()),
        "saturated": float(max((ms >= top).mean(), (pan >= top).mean())),
    }  # fmt: skip


def _mean(image: np.ndarray, ratio: int) -> np.ndarray:
    height, width = image.shape
    return image.reshape(height // ratio, ratio, width // ratio, ratio).mean((1, 3))


def _r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _r2(wanted: np.ndarray, bands: np.ndarray) -> float:
    design = np.column_stack([*(band.ravel() for band in bands), np.ones(wanted.size)])
    solution = np.linalg.lstsq(design, wanted.ravel(), rcond=None)[0]
    residual = wanted.ravel() - design @ solution
    return float(1 - residual.var() / wanted.var())


def _dark(band: np.ndarray) -> float:
    return float(np.percentile(band, 1) / band.mean())


def _inverted(pan: np.ndarray, nir: np.ndarray) -> float:
    covariance = uniform_filter(pan * nir, LOCAL) - uniform_filter(pan, LOCAL) * uniform_filter(nir, LOCAL)
    return float((covariance < 0).mean())


def spectrum_slope(image: np.ndarray, low: float, high: float) -> float:
    """Exponent of the radially averaged power spectrum (Hann window) between two frequencies in cycles/px.

    Args:
        image: [H, W].
        low, high: cycles/px.

    Returns:
        slope of log power on log frequency, by least squares over logarithmic bins.
    """
    values = image.astype(np.float64)
    values = (values - values.mean()) * np.outer(np.hanning(values.shape[0]), np.hanning(values.shape[1]))
    power = np.abs(np.fft.rfft2(values)) ** 2
    radius = np.hypot(np.fft.fftfreq(values.shape[0])[:, None], np.fft.rfftfreq(values.shape[1])[None, :])
    edges = np.geomspace(low, high, 13)
    which = np.digitize(radius.ravel(), edges)
    total, count = (np.bincount(which, weights, minlength=14) for weights in (power.ravel(), None))
    kept = [index for index in range(1, 13) if count[index]]
    middle = np.sqrt(edges[:-1] * edges[1:])
    x = np.log([middle[index - 1] for index in kept])
    y = np.log([total[index] / count[index] for index in kept])
    return float(np.polyfit(x, y, 1)[0])
