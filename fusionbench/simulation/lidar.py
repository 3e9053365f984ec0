"""An airborne laser scanner over a scene: heights of first returns and their intensity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import ndimage

from fusionbench.sensors import Band, Lidar, load_lidar
from fusionbench.simulation.materials import CLASSES, WAVELENGTHS, band_tables, categories
from fusionbench.simulation.noise import stream
from fusionbench.simulation.optics import sample
from fusionbench.simulation.scene import Scene
from fusionbench.simulation.spectral import mean, whole

SHIFT = (0.25, 0.5)  # px beside the optical images
VOIDS = (0.01, 0.03)  # share of pixels without a return, most of them water
PASSED = (0.3, 0.9)  # share of the way down a pulse gets that misses the top of a crown
SPECKLE = 0.06  # relative, of intensity
PLANTS = [CLASSES.index(name) for name in ("tree", "shrub")]
WATER = CLASSES.index("water")


def simulate_lidar(scene: Scene, gsd: float, size: int, sensor: Lidar | None = None) -> dict[str, Any]:
    """First returns over a scene, gridded, from its top left corner; heights are those of things of their usual size.

    Args:
        scene: to fly over.
        gsd: m, a whole multiple of the scene's pixel.
        size: px in one direction.
        sensor: its record; None: ``airborne_lidar``.

    Returns:
        ``dsm`` [1, size, size] float32 m, terrain included; ``intensity`` [1, size, size] float32 0..1; ``ndsm``
        [1, size, size] float32 m, true mean height above the ground; ``valid`` [1, size, size] uint8, 0 where there was
        no return and the nearest one stands; ``meta``.
    """
    sensor = load_lidar("airborne_lidar") if sensor is None else sensor
    factor = whole(gsd / scene.pixel)
    rng = stream(scene.seed, f"lidar {gsd:g}")
    turn, distance = rng.uniform(0, 2 * math.pi), rng.uniform(*SHIFT)
    shift = (round(math.sin(turn) * distance, 4), round(math.cos(turn) * distance, 4))
    sd, empty = round(rng.uniform(*sensor.vertical_sd), 4), rng.uniform(*VOIDS)
    surface = (scene.terrain + _first_returns(scene, rng)) * np.float32(1 / scene.scale)
    dsm = _aside(mean(surface, factor), shift)[:size, :size]
    dsm += rng.standard_normal(dsm.shape, np.float32) * np.float32(sd)
    light = _aside(mean(_echo(scene, sensor.wavelength), factor), shift)[:size, :size]
    light *= np.float32(1) + rng.standard_normal(light.shape, np.float32) * np.float32(SPECKLE)
    water = mean((categories()[scene.first] == WATER).astype(np.float32), factor)[:size, :size] > 0.5
    void = _voids(rng, water, empty)
    dsm, light = (_filled(one, void) for one in (dsm, np.clip(light, 0, 1)))
    above = mean(scene.height * np.float32(1 / scene.scale), factor)[None, :size, :size]
    return {
        "dsm": dsm[None], "intensity": light[None], "ndsm": above,
        "valid": (~void)[None].astype(np.uint8),
        "meta": {"sensor": sensor.name, "vertical_sd": sd, "shift": list(shift), "voids": round(float(void.mean()), 4)},
    }  # fmt: skip


def _first_returns(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Heights above the ground that pulses come back from; some pass gaps in crowns."""
    crown = np.isin(categories()[scene.first], PLANTS)
    missed = crown & (rng.random(crown.shape, np.float32) < scene.mix * np.float32(0.6) + np.float32(0.05))
    left = np.float32(1) - rng.uniform(*PASSED, int(missed.sum())).astype(np.float32)
    height = scene.height.copy()
    height[missed] *= left
    return height


def _echo(scene: Scene, wavelength: float) -> np.ndarray:
    """Share of a pulse that comes back: reflectance, less on slopes and where a crown splits the pulse."""
    means, aged, tinted = band_tables(Band("laser", wavelength, 20.0, 0.5).response(WAVELENGTHS))
    first, second = scene.first.astype(np.intp), scene.second.astype(np.intp)
    value = means.take(first) * (np.float32(1) - scene.mix) + means.take(second) * scene.mix
    value += aged.take(first) * scene.aged + tinted.take(first) * scene.tinted
    value *= scene.bright
    down, across = np.gradient(scene.relief, np.float32(scene.pixel))
    value /= np.sqrt(np.float32(1) + np.minimum(down * down + across * across, 4))
    value[np.isin(categories()[scene.first], PLANTS)] *= np.float32(0.6)
    value[categories()[scene.first] == WATER] *= np.float32(0.5)
    return np.asarray(value, np.float32)


def _aside(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    axis = np.arange(image.shape[0], dtype=np.float32)
    rows, columns = np.broadcast_arrays(axis[:, None] + np.float32(shift[0]), axis[None] + np.float32(shift[1]))
    return sample(image, rows, columns)


def _voids(rng: np.random.Generator, water: np.ndarray, share: float) -> np.ndarray:
    """Where no pulse came back: four in five on water as far as there is some, the others anywhere."""
    wet = min(0.8 * share / max(float(water.mean()), 1e-6), 0.7)
    dry = (share - wet * float(water.mean())) / max(1 - float(water.mean()), 1e-6)
    return rng.random(water.shape) < np.where(water, wet, max(dry, 0.0))


def _filled(image: np.ndarray, void: np.ndarray) -> np.ndarray:
    rows, columns = ndimage.distance_transform_edt(void, return_distances=False, return_indices=True)
    return np.asarray(image[rows, columns])
