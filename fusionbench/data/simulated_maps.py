"""Simulated scenes whose truth is a map: what changed between two dates, above-ground biomass, masks of surfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from fusionbench.errors import ConfigError
from fusionbench.sensors import Band, load_sensor
from fusionbench.simulation.lidar import simulate_lidar
from fusionbench.simulation.materials import CLASSES, categories, library
from fusionbench.simulation.noise import field, lognormal, stream
from fusionbench.simulation.scene import Scene
from fusionbench.simulation.spectral import mean, noisy, observe_bands, scene_for, whole

Arrays = dict[str, np.ndarray]
LOOKS = (
    "first", "second", "mix", "bright", "aged", "tinted", "bilinear", "height", "shadow", "direct", "sky",
)  # fmt: skip
OTHER = 50_000  # added to a seed: the scene whose pieces replace parts of the first
SIDES = (15.0, 60.0)  # m, of what is built, cleared or planted between two dates
TREE = CLASSES.index("tree")
DENSITY = {"conifer_tree": 0.40, "broadleaf_tree": 0.60, "light_tree": 0.50}  # t/m3 of wood
LIKE_BROADLEAF = 0.55  # of trees that have no entry above
PER_HECTARE = 3.2  # t/ha under a closed canopy of 1 m and wood of 1 t/m3: 220 t/ha at 20 m and 0.5 t/m3
POWER = 1.65  # of canopy height
SCATTER = 0.10  # relative, of biomass at a given height and species
PIXEL = 0.5  # m, of a scene with crowns of their natural size
FINE = 2.0  # m, grid of the laser scanner under a biomass map
OPENING = 30.0  # m, wider than any crown: what is left is ground


def simulated_maps(kind: str, seed: int, size: int, gsd: float, settings: Mapping[str, Any]) -> Arrays:
    """The rasters and the target of a seed's scene.

    Args:
        kind: key of KINDS.
        seed: of the scene.
        size: px in one direction; gsd: m.
        settings: ``roles`` wanted; ``sensor`` and ``bands`` of the optical images; what the kind takes.

    Returns:
        each role [B,size,size] float32, optical ones in DN of 1e-4 reflectance; ``target`` [1,size,size] float32, or
        class indices [size,size] int16.

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"data.simulation.kind={kind}: one of {', '.join(KINDS)}")
    return KINDS[kind](seed, size, gsd, settings)


def _bands(settings: Mapping[str, Any]) -> tuple[Band, ...]:
    bands = {band.name: band for band in load_sensor(str(settings["sensor"])).bands}
    absent = [name for name in settings["bands"] if name not in bands]
    if absent:
        raise ConfigError(f"data.simulation.bands: {absent[0]} is none of {', '.join(bands)}")
    return tuple(bands[name] for name in settings["bands"])


def _optical(scene: Scene, size: int, gsd: float, settings: Mapping[str, Any], name: str, apart: float) -> np.ndarray:
    """[B,size,size] DN with noise, looking aside by N(0, apart) px."""
    rng = stream(scene.seed, f"optical {name}")
    shift = tuple(round(float(x), 3) for x in rng.normal(0, apart, 2))
    image = observe_bands(scene, _bands(settings), gsd, size, shift=(shift[0], shift[1]))
    return noisy(image, float(settings.get("snr", 100)), rng)


# --- change between two dates ---


def changed(scene: Scene, other: Scene, share: float, rng: np.random.Generator) -> tuple[Scene, np.ndarray]:
    """A scene in which turned rectangles look as another scene does there.

    Args:
        scene, other: of one size and date.
        share: of the area that is replaced, about.
        rng: places them.

    Returns:
        the scene, and [N,N] bool: replaced by another class of material.
    """
    n, pixel = len(scene.first), scene.pixel
    y, x = np.mgrid[:n, :n].astype(np.float32) * np.float32(pixel)
    replaced = np.zeros((n, n), bool)
    while replaced.mean() < share:
        centre, turn = rng.uniform(0, n * pixel, 2), rng.uniform(0, np.pi)
        long, wide = rng.uniform(*SIDES, 2)
        along = (x - centre[1]) * np.cos(turn) + (y - centre[0]) * np.sin(turn)
        across = (y - centre[0]) * np.cos(turn) - (x - centre[1]) * np.sin(turn)
        replaced |= (np.abs(along) < long / 2) & (np.abs(across) < wide / 2)
    looks = {name: np.where(replaced, getattr(other, name), getattr(scene, name)) for name in LOOKS}
    after = replace(scene, **looks)
    return after, replaced & (after.classes != scene.classes)


def _change(seed: int, size: int, gsd: float, settings: Mapping[str, Any]) -> Arrays:
    rng = stream(seed, "change")
    first = int(rng.integers(110, 200))
    second = first + int(rng.integers(*settings["days"]))
    apart, share = float(settings["registration"]), rng.uniform(*settings["changed"])
    before, later, other = (scene_for(s, size, gsd, day=d) for s, d in _dates(seed, first, second))
    after, different = changed(later, other, share, rng)
    views = {
        "before": _optical(before, size, gsd, settings, "before", 0.0),
        "after": _optical(after, size, gsd, settings, "after", apart),
    }
    target = mean(different.astype(np.float32), whole(gsd / before.pixel))[:size, :size] > 0.5
    return {role: views[role] for role in settings["roles"]} | {"target": target.astype(np.int16)}


def _dates(seed: int, first: int, second: int) -> Sequence[tuple[int, int]]:
    return (seed, first), (seed, second), (seed + OTHER, second)


# --- above-ground biomass ---


def biomass(scene: Scene, gsd: float, size: int) -> np.ndarray:
    """Above-ground biomass [size,size] float32, t/ha, of the trees of a scene.

    Wood density times a power of canopy height, averaged over the covered and the open parts of a pixel: a closed
    canopy of 20 m and 0.5 t/m3 has some 220 t/ha. The scatter of stands of equal height and species is log-normal.
    """
    density = np.array([DENSITY.get(m.name, LIKE_BROADLEAF) if m.category == "tree" else 0.0 for m in library()])
    crowns = (categories()[scene.first] == TREE) & (scene.height > 1.0)
    height = np.where(crowns, scene.height, 0).astype(np.float64)
    wood = PER_HECTARE * density[scene.first] * height**POWER * (1 - scene.mix)
    found = mean(wood.astype(np.float32), whole(gsd / scene.pixel))[:size, :size]
    scatter = lognormal(field(stream(scene.seed, "biomass"), size, gsd, {4 * gsd: SCATTER}))
    return np.asarray(found * scatter, np.float32)


def canopy(scene: Scene, gsd: float, size: int) -> np.ndarray:
    """Mean and largest height above the estimated ground in each pixel [2,size,size] float32, m, from laser heights."""
    step = whole(gsd / FINE)
    dsm = simulate_lidar(scene, FINE, size * step)["dsm"][0]
    above = np.maximum(dsm - ndimage.grey_opening(dsm, round(OPENING / FINE)), 0)
    largest = above.reshape(size, step, size, step).max((1, 3))
    return np.stack([mean(above.astype(np.float32), step), largest]).astype(np.float32)


def _biomass(seed: int, size: int, gsd: float, settings: Mapping[str, Any]) -> Arrays:
    scene = scene_for(seed, size, gsd, finer=round(gsd / PIXEL))
    make: dict[str, Callable[[], np.ndarray]] = {
        "optical": lambda: _optical(scene, size, gsd, settings, "biomass", float(settings["registration"])),
        "height": lambda: canopy(scene, gsd, size),
        "sar": lambda: _sar(scene, gsd, size),
    }
    return {role: make[role]() for role in settings["roles"]} | {"target": biomass(scene, gsd, size)[None]}


def _sar(scene: Scene, gsd: float, size: int) -> np.ndarray:
    from fusionbench.simulation.radar import simulate_sar

    return np.asarray(simulate_sar(scene, gsd, size)["sar"], np.float32)


# --- masks ---


def _surface(seed: int, size: int, gsd: float, settings: Mapping[str, Any]) -> Arrays:
    from fusionbench.simulation import simulate_extraction

    found = simulate_extraction(seed, size, gsd, settings["target"])
    return {role: found[role] for role in settings["roles"]} | {"target": found["mask"].astype(np.int16)}


KINDS: Mapping[str, Callable[[int, int, float, Mapping[str, Any]], Arrays]] = {
    "change": _change,
    "biomass": _biomass,
    "surface": _surface,
}
