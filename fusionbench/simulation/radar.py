"""A C-band radar looks aside at a scene: backscatter of materials, geometry of heights, speckle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionbench.sensors import Radar, load_radar
from fusionbench.simulation.materials import CLASSES, categories, labels, library
from fusionbench.simulation.noise import cascade, stream
from fusionbench.simulation.scene import Scene
from fusionbench.simulation.spectral import mean, whole

# dB on level ground at 37 degrees: VV, VH, how strongly both follow soil moisture
# (after Ulaby and Dobson, Handbook of Radar Scattering Statistics for Terrain, 1989)
BACKSCATTER = {
    "water": (-19.0, -27.0, 0.0), "tree": (-8.5, -14.5, 0.2), "shrub": (-10.5, -17.0, 0.4),
    "grass": (-12.5, -19.5, 0.8), "crop": (-11.0, -17.5, 0.6), "soil": (-13.0, -21.5, 1.0),
    "road": (-16.0, -24.5, 0.1), "pavement": (-14.5, -23.0, 0.1), "roof": (-8.0, -16.5, 0.0),
    "vehicle": (-6.0, -14.0, 0.0),
}  # fmt: skip
OWN = {
    "conifer_tree": (-1.0, -0.5), "light_tree": (0.5, -0.5), "maize": (1.5, 2.0), "rapeseed": (1.0, 2.5),
    "cereal_green": (-1.5, -1.0), "cereal_ripe": (-0.5, -1.5), "gravel": (3.0, 2.5), "roof_tile_red": (2.5, 2.0),
    "roof_tile_brown": (2.5, 2.0), "roof_slate": (2.0, 1.5), "roof_metal_grey": (3.0, 1.0),
    "roof_metal_blue": (3.0, 1.0), "roof_metal_green": (3.0, 1.0), "sand": (-2.5, -2.5),
}  # fmt: skip
BLOCK_SD, TEXTURE_SD, MOISTURE_SD, WIND_SD = 1.8, 1.2, 1.6, 3.0  # dB
WALL = 2.0  # m of a step that counts as a wall
BOUNCE = (3.0, 0.45)  # what a wall facing the radar sends back per m^2 of ground it stands over: VV, VH
DAYS = (1, 12)  # between the radar's and the optical date
COHERENCE = 0.35  # of VV and VH where walls turn the polarisation; 0 elsewhere


@dataclass(frozen=True)
class Echo:
    """Backscatter without speckle.

    Args:
        power: [2, n, n] float32 VV and VH, linear.
        turned: [n, n] float32 share of it that walls sent back.
        shadow, layover: [n, n] float32 share of a pixel.
        incidence: degrees on level ground.
        east: the radar stands in the west and looks east.
        days: between the radar's date and the scene's.
    """

    power: np.ndarray
    turned: np.ndarray
    shadow: np.ndarray
    layover: np.ndarray
    incidence: float
    east: bool
    days: int


def simulate_sar(
    scene: Scene, gsd: float, size: int, days: int | None = None, sensor: Radar | None = None
) -> dict[str, Any]:
    """VV and VH of a ground-range detected, terrain-corrected image on the area grid.

    Args:
        scene: to look at.
        gsd: m, a whole multiple of the scene's pixel.
        size: px in one direction.
        days: between the optical date and the radar's, with its own soil moisture and wind; None: drawn, 1 to 12.
        sensor: its record; None: ``sentinel1``.

    Returns:
        ``sar`` [2, size, size] float32 dB; ``shadow`` and ``layover`` [1, size, size] uint8, 1 where they
        hold more than half of a pixel; ``meta``.
    """
    sensor = load_radar("sentinel1") if sensor is None else sensor
    rng = stream(scene.seed, f"speckle {gsd:g} {days}")
    seen = echo(scene, gsd, size, days, sensor)
    looks = round(rng.uniform(*sensor.looks), 3)
    speckle = (rng.standard_gamma(looks, seen.power.shape) / looks).astype(np.float32)
    power = seen.power * speckle + np.float32(10 ** (sensor.floor / 10))
    return {
        "sar": _decibels(power),
        "shadow": (seen.shadow > 0.5)[None].astype(np.uint8),
        "layover": (seen.layover > 0.5)[None].astype(np.uint8),
        "meta": {"sensor": sensor.name, "incidence": seen.incidence, "looks": looks, "days": seen.days,
                 "look_azimuth": 90 if seen.east else 270},
    }  # fmt: skip


def simulate_polsar(scene: Scene, gsd: float, size: int, sensor: Radar | None = None) -> dict[str, Any]:
    """The four real channels of a dual-polarised covariance matrix of four looks.

    Args:
        scene, gsd, size, sensor: as :func:`simulate_sar`.

    Returns:
        ``sar`` [4, size, size] float32: VV and VH power in dB, real and imaginary part of their
        coherence, -1..1; ``meta``.
    """
    sensor = load_radar("sentinel1") if sensor is None else sensor
    rng = stream(scene.seed, f"covariance {gsd:g}")
    seen, looks = echo(scene, gsd, size, None, sensor), 4
    turned = np.clip(seen.turned, 0, 1) * np.float32(COHERENCE)
    parts = rng.standard_normal((2, 2, looks, *turned.shape), np.float32) * np.float32(0.5**0.5)
    first, other = parts[0, 0] + 1j * parts[0, 1], parts[1, 0] + 1j * parts[1, 1]
    second = turned * first + np.sqrt(1 - turned**2) * other
    powers = [(np.abs(one) ** 2).mean(0) for one in (first, second)]
    coherence = (first * second.conj()).mean(0) / np.sqrt(powers[0] * powers[1])
    power = seen.power * np.stack(powers) + np.float32(10 ** (sensor.floor / 10))
    sar = np.stack([*_decibels(power), coherence.real, coherence.imag]).astype(np.float32)
    return {
        "sar": sar,
        "meta": {"sensor": sensor.name, "incidence": seen.incidence, "looks": looks, "days": seen.days},
    }


def echo(scene: Scene, gsd: float, size: int, days: int | None, sensor: Radar) -> Echo:
    """Backscatter of a scene without speckle; see :func:`simulate_sar`."""
    factor = whole(gsd / scene.pixel)
    rng = stream(scene.seed, f"radar {days}")
    apart = int(rng.integers(DAYS[0], DAYS[1] + 1)) if days is None else days
    incidence, east = round(rng.uniform(*sensor.incidence), 3), bool(rng.random() < 0.5)
    base = _backscatter(scene, rng)
    side = slice(None) if east else slice(None, None, -1)
    height = (scene.height * np.float32(1 / scene.scale))[:, side]
    relief, fields = scene.terrain[:, side], base[..., side]
    power, turned, shadow, layover = _geometry(height, relief, fields, scene.pixel, math.radians(incidence))
    cut = (slice(None, size), slice(None, size))
    total, walls = np.stack([mean(p[:, side], factor)[cut] for p in power]), mean(turned[:, side], factor)[cut]
    return Echo(
        total, walls / np.maximum(total[0], np.float32(1e-6)), mean(shadow[:, side], factor)[cut],
        mean(layover[:, side], factor)[cut], incidence, east, apart,
    )  # fmt: skip


def _backscatter(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """[2, N, N] float32 linear VV and VH on level ground: material, roughness of the block, moisture, wind, texture."""
    size = scene.first.shape[0]
    tables = np.array([BACKSCATTER[m.category] for m in library()], np.float32)
    for name, change in OWN.items():
        tables[labels()[name], :2] += np.array(change, np.float32)
    top = max(2, int(math.log2(size)) - 2)
    moisture = cascade(rng, size, size, {top: 0.7, top - 1: 0.7}) * np.float32(MOISTURE_SD)
    moisture += np.float32(rng.normal(0, 1))
    texture = cascade(rng, size, size, {1: 0.6, 3: 0.8}) * np.float32(TEXTURE_SD)
    rough = rng.normal(0, BLOCK_SD, (2, len(scene.uses))).astype(np.float32)
    rough[1] = np.float32(0.6) * rough[0] + np.float32(0.8) * rough[1]
    wind = np.float32(rng.normal(0, WIND_SD))
    water = categories()[scene.first] == CLASSES.index("water")
    wet, mix = tables[:, 2], scene.mix
    damp = (wet.take(scene.first) * (1 - mix) + wet.take(scene.second) * mix) * moisture
    out = np.empty((2, size, size), np.float32)
    for index in range(2):
        linear = (10 ** (tables[:, index] / 10)).astype(np.float32)
        value = linear.take(scene.first) * (np.float32(1) - mix) + linear.take(scene.second) * mix
        change = damp + texture + np.where(water, wind, rough[index].take(scene.block))
        out[index] = value * np.float32(10) ** (change / np.float32(10))
    return out


def _geometry(
    height: np.ndarray, terrain: np.ndarray, power: np.ndarray, pixel: float, theta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Local incidence, shadow, layover and double bounce for a radar that looks towards higher columns.

    Returns:
        power [2, N, N], share of walls in it, shadow, layover [N, N], all float32.
    """
    rows, columns = height.shape
    # terrain corrected: slopes change the brightness, not the place
    rise = np.gradient(terrain, np.float32(pixel), axis=1).clip(-0.6, 0.6)
    local = np.cos(theta + np.arctan(-rise)).clip(0.15, 1) / math.cos(theta)
    surface, far = height + terrain, np.arange(columns, dtype=np.float32) * np.float32(pixel / math.tan(theta))
    horizon = np.maximum.accumulate(surface + far, axis=1)
    shadow = ((horizon - surface - far) > 0.5).astype(np.float32)
    lit = (np.float32(1) - shadow) * local.astype(np.float32) ** 2
    # walls that face the radar: higher to the right than here
    step = np.zeros_like(height)
    step[:, :-1] = height[:, 1:] - height[:, :-1]
    aside = np.gradient(height, axis=0)
    facing = (step / np.sqrt(step**2 + aside**2 + np.float32(1e-6))) ** 6
    wall = np.where(step > WALL, step * facing, 0) * np.float32(math.tan(theta) / pixel) * (np.float32(1) - shadow)
    # what stands higher is nearer to the radar in range
    place = np.arange(columns, dtype=np.float32) - height * np.float32(1 / (math.tan(theta) * pixel))
    left = np.floor(place)
    right = (place - left).astype(np.float32)
    index = np.clip(left.astype(np.int64), 0, columns - 1) + np.arange(rows)[:, None] * columns
    beside = np.minimum(index % columns + 1, columns - 1) + index // columns * columns

    def laid(values: np.ndarray) -> np.ndarray:
        a = np.bincount(index.ravel(), (values * (1 - right)).ravel(), rows * columns)
        b = np.bincount(beside.ravel(), (values * right).ravel(), rows * columns)
        return np.asarray((a + b).reshape(rows, columns), np.float32)

    walls = [wall * np.float32(gain * 0.1) for gain in BOUNCE]
    total = np.stack([laid(one * lit) + bounce for one, bounce in zip(power, walls, strict=True)])
    return total, walls[0], shadow, (laid(np.ones_like(height)) > 1.5).astype(np.float32)


def _decibels(power: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(power, np.float32(1e-6))), np.float32)
