"""A PAN / MS sensor looks at a scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.sensors import Sensor
from fusionbench.simulation.instrument import instrument_of
from fusionbench.simulation.materials import categories
from fusionbench.simulation.noise import cascade, stream
from fusionbench.simulation.optics import BandView, blur, digitise, gaussian_taps, halve, sample, view
from fusionbench.simulation.scene import Scene, build_scene

FINER = 2  # scene pixels per PAN pixel
STRIP = 64  # rows of the scene rendered at once: they stay in the processor's cache
TRUTH = ("first", "second", "mix", "classes", "height", "terrain", "shadow", "bright", "bilinear")
SATURATED = 0.0005  # share of pixels that may saturate
SHIFT_SD, SHIFT_MOST, WARP_SD = 0.15, 0.4, 0.1  # MS px, between PAN and MS


def simulate_pair(
    sensor: Sensor, seed: int, size: int, truth: bool = False, registered: bool = False, day: int | None = None
) -> dict[str, Any]:
    """Simulate the PAN and MS images of a seed's scene on the area grid.

    Args:
        sensor: its record; the true instrument lies near it (see ``instrument``).
        seed: 0 or above: same seed, same images, on any machine.
        size: MS pixels in one direction.
        truth: return what no sensor tells, too.
        registered: no shift, no warp and no vehicle that moves between PAN and MS.
        day: of the year; None: drawn from the seed.

    Returns:
        ``ms`` uint16 [B, size, size], ``pan`` uint16 [1, r size, r size], ``meta`` (plain values), and with ``truth``
        a dict: ``reference`` float32 [B, r size, r size] (DN without noise, through the MTF of MS at PAN's sampling,
        on PAN's grid), the maps named in TRUTH (see :class:`Scene`) [N, N] on the scene's grid, N = 2 r size rounded
        up to a multiple of 16, and ``displacement`` float32 [2, size, size], MS px (rows, columns) that MS looks aside.

    Raises:
        ConfigError: a negative seed or a size below 16.
    """
    if seed < 0 or size < 16:
        raise ConfigError(f"simulate: seed={seed}, size={size}: the seed must be 0 or above, the size 16 px or above")
    ratio = sensor.ratio
    step = FINER * ratio
    scene = build_scene(seed, _multiple(size * step), sensor.gsd / step, 0.0 if registered else sensor.gsd, day)
    instrument = instrument_of(sensor)
    rng = stream(seed, f"acquisition {sensor.name}")
    displacement = _displacement(rng, size) * np.float32(not registered)
    chosen = rng.uniform(0.92, 1.08)
    apart = instrument.band_shifts * float(not registered)
    halved, pan = _render(scene, [view(band, scene.air) for band in (*sensor.bands, sensor.panchromatic)])
    side = size * ratio
    planes = [
        _at_ms(plane, gain, ratio, size, displacement + own[:, None, None].astype(np.float32))
        for plane, gain, own in zip(halved, instrument.gains[:-1], apart, strict=True)
    ]
    planes.append(halve(blur(pan, gaussian_taps(instrument.gains[-1], 0.25, 0.25)))[:side, :side])
    exposure = round(
        min(chosen, *(_brightest(p, s, sensor.full_scale) for p, s in zip(planes, instrument.scales, strict=True))), 6
    )
    scales = [exposure * scale for scale in instrument.scales]
    bits = [
        digitise(plane, scale, offset, snr, rng, sensor.full_scale)
        for plane, scale, offset, snr in zip(planes, scales, instrument.offsets, instrument.snr, strict=True)
    ]
    meta = {
        "sensor": sensor.name, "seed": seed, "size": size, "regions": list(scene.regions), "day": scene.day,
        "sun_elevation": scene.sun.elevation, "sun_azimuth": scene.sun.azimuth, "haze": scene.air.haze,
        "mtf_gains": list(instrument.gains[:-1]), "pan_gain": instrument.gains[-1], "snr": list(instrument.snr),
        "band_shifts": apart.tolist(), "exposure": exposure,
        "shift": [round(float(axis.mean(dtype=np.float64)), 4) for axis in displacement],
    }  # fmt: skip
    pair: dict[str, Any] = {"ms": np.stack(bits[:-1]), "pan": bits[-1][None], "meta": meta}
    if truth:
        pair["truth"] = {
            "reference": np.stack([
                blur(plane, gaussian_taps(gain, 0.5, 0.25))[:side, :side] * np.float32(scale) + np.float32(offset)
                for plane, gain, scale, offset in zip(
                    halved, instrument.gains[:-1], scales[:-1], instrument.offsets[:-1], strict=True
                )
            ]),
            "displacement": displacement,
            **{name: getattr(scene, name) for name in TRUTH},
        }  # fmt: skip
    return pair


def _multiple(pixels: int) -> int:
    return -(-pixels // 16) * 16


def _brightest(plane: np.ndarray, scale: float, full_scale: int) -> float:
    """The exposure at which SATURATED of a band's pixels reach full scale: operators choose less."""
    values = plane.ravel()
    place = int(len(values) * (1 - SATURATED))
    return full_scale / (scale * float(np.partition(values, place)[place]))


def _displacement(rng: np.random.Generator, size: int) -> np.ndarray:
    """[2, size, size] MS px: where MS looks, beside where it should: one shift and a smooth warp."""
    shift = rng.normal(0, SHIFT_SD, 2)
    shift *= min(1.0, SHIFT_MOST / max(float(np.sqrt((shift**2).sum())), 1e-9))
    warp = np.stack([cascade(rng, size, size, {7: WARP_SD}) for _ in range(2)])
    warp += np.round(shift, 6).astype(np.float32)[:, None, None]
    return warp


def _at_ms(plane: np.ndarray, gain: float, ratio: int, size: int, displacement: np.ndarray) -> np.ndarray:
    """One band at the MS pixels' centres, through the instrument's point spread."""
    blurred = blur(plane, gaussian_taps(gain, 0.5 / ratio, 0.25 / ratio))
    centre = (np.arange(size, dtype=np.float32) * ratio + (ratio - 1) / 2).astype(np.float32)
    rows = centre[:, None] + displacement[0] * np.float32(ratio)
    columns = centre[None, :] + displacement[1] * np.float32(ratio)
    return sample(blurred, rows, columns)


def with_vehicles(scene: Scene, moment: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with the moving vehicles where they are at PAN's (0) or MS's (1) moment."""
    first, second = scene.first.copy(), scene.second.copy()
    for places in scene.moving:
        rows, columns, label = places[moment]
        dry = categories()[first[rows, columns]] != 0
        first[rows[dry], columns[dry]] = label
        second[rows[dry], columns[dry]] = label
    return first, second


def _render(scene: Scene, views: Sequence[BandView]) -> tuple[np.ndarray, np.ndarray]:
    """Radiance of the MS bands averaged over 2x2 scene pixels, [B, N/2, N/2], and of PAN, the last view, [N, N]."""
    size = scene.first.shape[0]
    *bands, pan_view = views
    halved = np.empty((len(bands), size // 2, size // 2), np.float32)
    pan = np.empty((size, size), np.float32)
    pan_labels, ms_labels = with_vehicles(scene, 0), with_vehicles(scene, 1)
    for start in range(0, size, STRIP):
        rows = slice(start, min(start + STRIP, size))
        half = slice(rows.start // 2, rows.stop // 2)
        for labels, wanted in ((ms_labels, bands), (pan_labels, [pan_view])):
            first, second = labels[0][rows].astype(np.intp), labels[1][rows].astype(np.intp)
            for index, one in enumerate(wanted):
                strip = radiance(scene, one, rows, first, second)
                if wanted is bands:
                    halved[index, half] = halve(strip)
                else:
                    pan[rows] = strip
    return halved, pan


def radiance(scene: Scene, one: BandView, rows: slice, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Apparent reflectance of some rows in one band: mixing, variability, light and air."""
    a, b = one.mean.take(first), one.mean.take(second)
    value = (b - a) * scene.mix[rows]
    value += a
    a *= b
    a *= scene.bilinear[rows]
    value += a
    value += one.aged.take(first) * scene.aged[rows]
    value += one.tinted.take(first) * scene.tinted[rows]
    value *= scene.bright[rows]
    np.maximum(value, np.float32(0.003), out=value)
    light = scene.direct[rows] * np.float32(one.direct)
    light += scene.sky[rows] * np.float32(one.diffuse)
    value *= light
    value += np.float32(one.path)
    return value
