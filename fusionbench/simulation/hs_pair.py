"""A hyperspectral image with a finer guide (PAN, RGB or MS), and what no sensor tells about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.sensors import Band, Sensor
from fusionbench.simulation.light import Sun
from fusionbench.simulation.noise import stream
from fusionbench.simulation.spectral import (
    FINE,
    band_weights,
    coefficients,
    cube,
    noisy,
    scene_for,
    spectra_of,
    through,
)

SPREAD = 0.1  # the true instrument lies within 10 % of what its record says
MTF = 0.3  # of HS on the fine grid
SNR_HS, SNR_SHORTWAVE, SNR_GUIDE = (100.0, 300.0), (50.0, 150.0), (80.0, 160.0)
SHORTWAVE = 1000.0  # nm; indium gallium arsenide and mercury cadmium telluride detectors see less light
LEAST_SEEN = 0.2  # of a guide band's response must lie where HS sees
MODES = ("same_sensor", "two_sensor")


def simulate_hs_pair(
    hs: Sensor | Sequence[Band],
    seed: int,
    size: int,
    ratio: int,
    guide: Sensor | Sequence[Band],
    mode: str = "same_sensor",
    gsd: float | None = None,
    product: str = "reflectance",
    day: int | None = None,
    snr: float | None = None,
    guide_snr: float | None = None,
    target_snr: float | None = None,
    registered: bool = False,
) -> dict[str, Any]:
    """Simulate a HS image, its finer guide, and the HS image at the guide's sampling; area grid, DN of 1e-4.

    Args:
        hs: HS sensor, or B bands.
        seed: 0 or above: same seed, same images.
        size: px of the guide in one direction, a multiple of ``ratio``.
        ratio: HS over guide GSD.
        guide: its sensor (all MS bands), or b bands, as ``(sensor.pan,)``.
        mode: ``same_sensor``: the guide is made of the HS image at the fine grid (Wald); ``two_sensor``: it is an
            instrument of its own: gain, offset, a quarter of a HS pixel aside, another position of the sun.
        gsd: m, of the guide; None: the HS sensor's with ``same_sensor`` (its image is the target), else over ``ratio``.
        product: ``reflectance`` or ``radiance``, see ``spectral.spectra_of``.
        day: of the year; None: drawn.
        snr, guide_snr: signal-to-noise ratio per band; None: drawn per band (HS 50..300, guide 80..160).
        target_snr: None: the target is free of noise.
        registered: with ``two_sensor``: no shift and no vehicle that moves in between.

    Returns:
        ``lr`` [B, size / ratio, size / ratio] and ``guide`` [b, size, size] (whole DN), ``target`` [B, size, size], all
        float32; ``srf`` [b, B] (rows sum to 1) and ``psf`` [k, k] as they are, ``srf_nominal`` and ``psf_nominal``
        as the records have them; ``wavelengths`` [B] nm; ``meta``. lr at (i, j) is the sum of psf times the
        target's k x k px around the block of ratio x ratio px, borders mirrored.

    Raises:
        ConfigError: a size that is no multiple of the ratio, another mode, a guide band outside of the HS range.
    """
    bands, guides = (tuple(one.bands) if isinstance(one, Sensor) else tuple(one) for one in (hs, guide))
    gsd = _gsd(hs, gsd, ratio if mode == "two_sensor" else 1)
    if mode not in MODES or size % ratio:
        raise ConfigError(
            f"mode={mode}, size={size}: must be {' or '.join(MODES)}, and a multiple of the ratio {ratio}"
        )
    rng = stream(seed, f"hs pair {len(bands)} {bands[0].center} {len(guides)} {guides[0].center}")
    own = stream(0, f"hs instrument {len(bands)} {bands[0].center} {len(guides)} {guides[0].center}")
    seen = tuple(_near(own, band) for band in guides)
    nominal, true = srf(guides, bands), srf(seen, bands)
    fwhm = [round(ratio * (1 + own.uniform(-SPREAD, SPREAD)), 6) for _ in range(2)]
    down, across = (gaussian(width, ratio) for width in fwhm)
    plain = gaussian(float(ratio), ratio)
    two = mode == "two_sensor"
    scene = scene_for(seed, size, gsd, day=day, displacement=gsd * ratio * (two and not registered))
    spectra = spectra_of(bands, scene.air, product)
    moments = (1, 0) if two else (None, None)
    target = cube(spectra, through(coefficients(scene, spectra, 1, moments[0]), 2, size, MTF))
    lr = degrade(target, down, across, ratio)
    meta: dict[str, Any] = {
        "mode": mode,
        "seed": seed,
        "gsd": gsd,
        "ratio": ratio,
        "product": product,
        "day": scene.day,
    }
    gain, offset, shift = np.ones(len(seen)), np.zeros(len(seen)), (0.0, 0.0)
    if two:
        gain = 1 + np.round(rng.uniform(0.02, 0.05, len(seen)) * rng.choice([-1, 1], len(seen)), 6)
        offset = np.round(rng.normal(0, 60.0, len(seen)), 3)
        turn = rng.uniform(0, 2 * math.pi)
        shift = (0.0, 0.0) if registered else (round(math.sin(turn) / 4, 4), round(math.cos(turn) / 4, 4))
        elsewhere = scene.under(_later(rng, scene.sun))
        fine = spectra_of(seen, scene.air, product)
        maps = coefficients(elsewhere, fine, 1, moments[1])
        aside = (shift[0] * ratio, shift[1] * ratio)
        clean = cube(fine, through(maps, 2, size, round(MTF * (1 + own.uniform(-SPREAD, SPREAD)), 6), aside))
        clean = clean * gain[:, None, None].astype(np.float32) + offset[:, None, None].astype(np.float32)
        clean = np.maximum(clean, np.float32(1))
    else:
        clean = np.maximum(np.tensordot(true.astype(np.float32), target, axes=1), np.float32(1))
    of_hs, of_guide = _snr(own, bands, snr), _snr(own, seen, guide_snr, SNR_GUIDE)
    meta |= {
        "snr": of_hs.tolist(), "guide_snr": of_guide.tolist(), "gain": gain.tolist(), "offset": offset.tolist(),
        "shift": [round(one * ratio, 4) for one in shift], "psf_fwhm": fwhm, "psf_fwhm_nominal": float(ratio),
        "sun_elevation": scene.sun.elevation, "sun_azimuth": scene.sun.azimuth, "regions": list(scene.regions),
    }  # fmt: skip
    return {
        "lr": noisy(lr, of_hs, rng),
        "guide": noisy(clean, of_guide, rng),
        "target": target if target_snr is None else noisy(target, target_snr, rng),
        "srf": true, "srf_nominal": nominal,
        "psf": np.outer(down, across).astype(np.float32), "psf_nominal": np.outer(plain, plain).astype(np.float32),
        "wavelengths": np.array([band.center for band in bands], np.float32), "meta": meta,
    }  # fmt: skip


def srf(guides: Sequence[Band], bands: Sequence[Band]) -> np.ndarray:
    """Spectral response of guide bands over HS bands.

    Args:
        guides: b of them.
        bands: B of HS.

    Returns:
        [b, B] float32, rows sum to 1.

    Raises:
        ConfigError: a guide band that sees nothing of what the HS bands see.
    """
    wide = band_weights(guides)[0]
    centers = np.array([band.center for band in bands])
    nearest = np.abs(FINE[:, None] - centers[None]).argmin(1)  # a HS band stands for the wavelengths nearest to it
    held = np.abs(FINE - centers[nearest]) <= max(band.width for band in bands)
    weights = np.stack([np.bincount(nearest[held], row[held], len(bands)) for row in wide])
    for band, row in zip(guides, weights, strict=True):
        if row.sum() < LEAST_SEEN:
            low, high = centers.min(), centers.max()
            raise ConfigError(
                f"the guide band {band.name} at {band.center:g} nm lies outside of HS, {low:g}..{high:g} nm"
            )
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def gaussian(fwhm: float, ratio: int) -> np.ndarray:
    """Taps of a Gaussian around the middle of a block of ``ratio`` px: [k] float64, sum 1, k - ratio even."""
    reach = ratio + 2 * math.ceil(0.9 * ratio)  # three standard deviations on either side
    axis = np.arange(reach) - (reach - 1) / 2
    taps = 0.5 ** ((axis / (fwhm / 2)) ** 2)
    return np.round(taps / taps.sum(), 9)


def degrade(target: np.ndarray, down: np.ndarray, across: np.ndarray, ratio: int) -> np.ndarray:
    """Separable point spread and sampling: [B, H, W] -> [B, H / ratio, W / ratio], borders mirrored."""
    margin = (len(down) - ratio) // 2
    padded = np.pad(target, ((0, 0), (margin, margin), (margin, margin)), mode="symmetric")
    height, width = target.shape[1], target.shape[2]
    rows = np.zeros((len(target), height // ratio, padded.shape[2]), np.float32)
    for index, tap in enumerate(down):
        rows += np.float32(tap) * padded[:, index : index + height : ratio]
    out = np.zeros((len(target), height // ratio, width // ratio), np.float32)
    for index, tap in enumerate(across):
        out += np.float32(tap) * rows[:, :, index : index + width : ratio]
    return out


def _gsd(hs: Sensor | Sequence[Band], gsd: float | None, finer: int) -> float:
    if gsd is None and not isinstance(hs, Sensor):
        raise ConfigError("simulate: a list of HS bands says no GSD: give gsd, in m of the guide")
    return hs.gsd / finer if isinstance(hs, Sensor) and gsd is None else float(gsd or 0.0)


def _near(rng: np.random.Generator, band: Band) -> Band:
    """The band as it is: centre and width near what its record says."""
    aside, wider = rng.uniform(-SPREAD, SPREAD, 2)
    return replace(band, center=round(band.center + aside * band.width, 3), width=round(band.width * (1 + wider), 3))


def _later(rng: np.random.Generator, sun: Sun) -> Sun:
    """The sun half an hour to an hour and a half later or earlier, some 15 degrees of azimuth per hour."""
    hours = rng.uniform(0.5, 1.5) * rng.choice([-1, 1])
    azimuth = math.radians(sun.azimuth + 18 * hours)
    elevation = math.radians(min(max(sun.elevation + 5 * hours, 20.0), 75.0))
    level = math.cos(elevation)
    east, north, up = level * math.sin(azimuth), level * math.cos(azimuth), math.sin(elevation)
    return Sun(
        round(east, 6), round(north, 6), round(up, 6), round(math.degrees(elevation), 3),
        round(math.degrees(azimuth) % 360, 3),
    )  # fmt: skip


def _snr(
    rng: np.random.Generator, bands: Sequence[Band], given: float | None, span: tuple[float, float] | None = None
) -> np.ndarray:
    """Signal-to-noise ratio per band; short-wave detectors are the noisier ones."""
    drawn = [rng.uniform(*(span or (SNR_SHORTWAVE if band.center > SHORTWAVE else SNR_HS))) for band in bands]
    return np.round(drawn if given is None else [given] * len(bands), 2)
