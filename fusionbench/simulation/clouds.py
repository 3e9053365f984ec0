"""Clouds between a scene and an optical sensor: a field of optical depth, what it hides, and the shadows it casts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.sensors import Band, Sensor, load_sensor
from fusionbench.simulation.labels import facts
from fusionbench.simulation.materials import CLASSES, categories
from fusionbench.simulation.noise import cascade, stream
from fusionbench.simulation.optics import blur, sample
from fusionbench.simulation.radar import simulate_sar
from fusionbench.simulation.scene import Scene, build_scene
from fusionbench.simulation.spectral import FULL, noisy, observe_bands

COVER = (0.23, 0.56)
THICK = 1.2  # optical depth (550 nm) that hides the ground
BRIGHT = 0.62  # reflectance of a thick cloud at 550 nm
BASE = (600.0, 2200.0)  # m, of clouds above the ground
DARK = 0.72  # of direct light that the shadow of a thick cloud takes
APART, FARTHER = (2, 10), (25, 60)  # days between the cloudy date and the target, and the other clear date
SNR = (100.0, 200.0)
GAIN_SD, OFFSET_SD = 0.015, 25.0  # between dates: what the correction of the air leaves; relative, and DN
DEVELOPMENT, MOIST = 0.9, 0.5  # standard deviations of shape components: of a block in 30 days, of soils on a day
LIVING = [CLASSES.index(name) for name in ("tree", "shrub", "grass", "crop", "soil")]


def add_clouds(
    image: np.ndarray, bands: Sequence[Band], scene: Scene, gsd: float, seed: int, cover: float | None = None
) -> dict[str, Any]:
    """Put clouds and their shadows over an image.

    Args:
        image: [B, n, n] DN of 1e-4 reflectance.
        bands: B of them.
        scene: whose sun casts the shadows.
        gsd: m.
        seed: of the clouds.
        cover: share of pixels under clouds, above 0 and below 1; None: drawn, 0.23 to 0.56.

    Returns:
        ``image`` [B, n, n] float32 DN; ``thickness`` [1, n, n] float32 optical depth at 550 nm; ``cloud`` and
        ``shadow`` [1, n, n] uint8; ``meta``.

    Raises:
        ConfigError: a cover outside of 0..1.
    """
    rng = stream(seed, "clouds")
    drawn = rng.uniform(*COVER)
    cover = round(drawn if cover is None else cover, 4)
    if not 0 < cover < 1:
        raise ConfigError(f"cover={cover}: the share of pixels under clouds lies between 0 and 1")
    size = image.shape[-1]
    base, thick = rng.uniform(*BASE), rng.uniform(0.35, 0.65)
    margin = min(size, math.ceil(base / math.tan(math.radians(scene.sun.elevation)) / gsd) + 4)
    depth = _depth(rng, size + 2 * margin, size, margin, cover, thick)
    here = depth[margin : margin + size, margin : margin + size]
    # the light that falls on a pixel came through the cloud towards the sun
    level = math.hypot(scene.sun.east, scene.sun.north)
    reach = base * level / scene.sun.up / gsd
    towards = (margin - scene.sun.north / level * reach, margin + scene.sun.east / level * reach)
    axis = np.arange(size, dtype=np.float32)
    rows, columns = np.broadcast_arrays(axis[:, None] + np.float32(towards[0]), axis[None] + np.float32(towards[1]))
    above = sample(depth, rows, columns)
    above = np.maximum(above, 0)
    taken = np.float32(DARK) * (np.float32(1) - np.exp(-np.float32(1.2) * above))
    out = np.empty_like(image)
    for index, band in enumerate(bands):
        opacity = here * np.float32(_thinner(band.center))
        through = np.exp(-opacity)
        # shadows are darker where less light comes from the sky
        dim = np.float32(DARK) * (np.float32(1) - np.exp(-np.float32(1.2 * _thinner(band.center)) * above))
        sun = np.float32(1) - dim * np.float32(1 - 0.45 * min(1.0, (450 / band.center) ** 2))
        white = np.float32(_white(band.center) * FULL) * (np.float32(1) - np.exp(np.float32(-0.75) * opacity))
        structure = np.float32(0.85) + np.float32(0.3) * np.clip(here / np.float32(4), 0, 1)
        out[index] = image[index] * sun * through + white * structure
    cloud = (here > 0.105).astype(np.uint8)  # transmittance below 0.9
    shadow = ((taken > 0.15) & (cloud == 0)).astype(np.uint8)
    return {
        "image": out, "thickness": here[None], "cloud": cloud[None], "shadow": shadow[None],
        "meta": {"cover": round(float(cloud.mean()), 4), "thick": round(float((here > THICK).mean()), 4),
                 "cloud_base": round(base, 1), "displacement": [round(t - margin, 2) for t in towards]},
    }  # fmt: skip


def _depth(rng: np.random.Generator, wide: int, size: int, margin: int, cover: float, thick: float) -> np.ndarray:
    """Optical depth at 550 nm: ``cover`` of the inner size x size px above 0.105, ``thick`` of that above THICK."""
    top = max(3, int(math.log2(size)) - 1)
    weights = (1.0, 0.75, 0.5, 0.33, 0.22, 0.12)
    octaves = {max(top - place, 0): weight for place, weight in enumerate(weights)}
    shape = cascade(rng, wide, wide, octaves)
    inner = np.sort(shape[margin : margin + size, margin : margin + size].ravel())
    edge = inner[int((1 - cover) * (len(inner) - 1))]
    core = inner[int((1 - cover * thick) * (len(inner) - 1))]
    rise = np.maximum(shape - edge, 0) / np.float32(max(core - edge, 1e-3))
    depth = np.where(rise > 0, np.float32(0.105) + rise * np.float32(THICK - 0.105), 0) * (1 + rise)
    return blur(depth.astype(np.float32), np.array([0.25, 0.5, 0.25]))


def _thinner(wavelength: float) -> float:
    """Optical depth at a wavelength in nm over that at 550 nm: small ice and droplets let the infrared through."""
    return min(1.15, (550.0 / wavelength) ** 0.35) if wavelength < 1000 else (550.0 / wavelength) ** 0.55


def _white(wavelength: float) -> float:
    """Reflectance of a thick cloud: droplets and ice absorb beyond 1.4 um."""
    return BRIGHT * (1.0 if wavelength < 1100 else 0.6 if wavelength < 1450 else 0.72 if wavelength < 1800 else 0.45)


def simulate_cloudy(
    seed: int,
    size: int,
    gsd: float = 10.0,
    sensor: Sensor | None = None,
    cover: float | None = None,
    day: int | None = None,
) -> dict[str, Any]:
    """A radar image, a cloudy optical image, and clear images of dates nearby.

    Args:
        seed: 0 or above.
        size: px in one direction.
        gsd: m.
        sensor: optical; None: ``sentinel2`` with its 13 bands.
        cover: see :func:`add_clouds`.
        day: of the year of the cloudy date; None: drawn.

    Returns:
        ``sar`` [2, n, n] dB (VV, VH); ``cloudy``, ``clear`` (the target: a clear date 2 to 10 days away), ``nearby``
        (the nearest clear date on the other side, 25 to 60 days away), ``truth`` (the cloudy date without clouds)
        [B, n, n] float32 DN; ``cloud``, ``shadow`` [1, n, n] uint8 (true masks); ``thickness`` [1, n, n]; ``meta``.

    Raises:
        ConfigError: a cover outside of 0..1, a negative seed or a size below 16.
    """
    if seed < 0 or size < 16:
        raise ConfigError(f"simulate: seed={seed}, size={size}: the seed must be 0 or above, the size 16 px or above")
    sensor = load_sensor("sentinel2") if sensor is None else sensor
    rng = stream(seed, "dates")
    drawn, apart, far = (
        int(rng.integers(110, 270)),
        int(rng.integers(APART[0], APART[1] + 1)),
        int(rng.integers(25, 61)),
    )
    side, day = int(rng.choice([-1, 1])), drawn if day is None else day
    dates = {"truth": day, "clear": day + side * apart, "nearby": day - side * far}
    scenes = {
        name: _developed(build_scene(seed, -(-2 * size // 16) * 16, gsd / 2, 0.0, date), date - day)
        for name, date in dates.items()
    }
    made: dict[str, Any] = {name: _date(scene, sensor, gsd, size, name) for name, scene in scenes.items()}
    clouded = add_clouds(made["truth"], sensor.bands, scenes["truth"], gsd, seed, cover)
    snr, top = rng.uniform(*SNR, len(sensor.bands)), np.float32(1.6 * FULL)
    for name, image in {**made, "cloudy": clouded["image"]}.items():
        made[name] = np.minimum(noisy(image, snr, stream(seed, f"noise {name}")), top)
    radar = simulate_sar(scenes["truth"], gsd, size)
    told = {key: value for key, value in radar["meta"].items() if key != "sensor"}
    return {
        **made, "sar": radar["sar"], **{key: clouded[key] for key in ("cloud", "shadow", "thickness")},
        "meta": facts(scenes["truth"]) | clouded["meta"] | {f"sar_{key}": value for key, value in told.items()}
        | {"gsd": gsd, "sensor": sensor.name, "days": apart, "days_nearby": far},
    }  # fmt: skip


def _developed(scene: Scene, days: int) -> Scene:
    """A scene some days on: each block greens or dries at its own pace, soils are as wet as the day left them."""
    pace = stream(scene.seed, "development").normal(0, DEVELOPMENT, (2, len(scene.uses))).astype(np.float32)
    wet = np.float32(stream(scene.seed, f"rain {days}").normal(0, MOIST))
    kinds = categories()[scene.first]
    change = pace * np.float32(days / 30)
    living = np.isin(kinds, LIVING).astype(np.float32)
    aged = scene.aged + living * change[0].take(scene.block) + wet * (kinds == CLASSES.index("soil"))
    return replace(scene, aged=aged, tinted=scene.tinted + living * change[1].take(scene.block))


def _date(scene: Scene, sensor: Sensor, gsd: float, size: int, name: str) -> np.ndarray:
    """One date: the season is in the scene; soil moisture and what the correction of the air leaves differ by date."""
    bands = sensor.bands
    image = observe_bands(scene, bands, gsd, size)
    for index, band in enumerate(bands):
        coarser = 1 if band.gsd is None else band.gsd / sensor.gsd
        if coarser > 1:
            reach = math.ceil(2 * coarser)
            taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.5 * coarser)) ** 2)
            image[index] = blur(image[index], np.round(taps / taps.sum(), 9))
    rng = stream(scene.seed, f"date {name}")
    moist = cascade(rng, size, size, {max(2, int(math.log2(size)) - 2): 1.0}) * np.float32(0.025)
    gain = rng.normal(1, GAIN_SD) * (1 + rng.normal(0, GAIN_SD / 3, len(bands)))
    offset = rng.normal(0, OFFSET_SD, len(bands))
    image *= (np.float32(1) + moist) * gain.astype(np.float32)[:, None, None]
    return np.maximum(image + offset.astype(np.float32)[:, None, None], np.float32(1))
