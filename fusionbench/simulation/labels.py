"""What covers each pixel, at any GSD: classes of a legend, masks of target extraction, abundances of materials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

from fusionbench.errors import ConfigError
from fusionbench.sensors import Band
from fusionbench.simulation.materials import CLASSES, labels, library
from fusionbench.simulation.scene import Scene
from fusionbench.simulation.spectral import FULL, band_weights, mean, whole
from fusionbench.simulation.streets import USES

ANY = "*"
STREET = "street"  # beside the keys of USES: a carriageway
FLAT_ROOFS = "roof_concrete roof_gravel"  # bitumen looks like asphalt: left out where roofs have classes by material
PITCHED_ROOFS = "roof_tile_red roof_tile_brown roof_slate roof_rust"
METAL_ROOFS = "roof_metal_grey roof_metal_blue roof_metal_green roof_membrane"
ASPHALT = "asphalt_new asphalt_old"
WOODED = "forest wood heath"

# legend -> class -> (materials or classes of them, uses of the block or * for all); later rules overrule earlier ones
Rules = Mapping[str, tuple[str, str]]
RULES: Mapping[str, Rules] = {
    "cover15": {
        "lawn": ("lawn", ANY), "dry grass": ("dry_grass meadow", ANY), "shrub": ("shrub", ANY),
        "broadleaf tree": ("broadleaf_tree light_tree", ANY), "conifer": ("conifer_tree", ANY), "crop": ("crop", ANY),
        "bare soil": ("soil", ANY), "water": ("water", ANY), "street": (ASPHALT, ANY),
        "brick pavement": ("paving_brick", ANY),
        "concrete": ("concrete road_paint", ANY), "gravel": ("gravel", ANY),
        "flat roof": (FLAT_ROOFS, ANY), "pitched roof": (PITCHED_ROOFS, ANY), "metal roof": (METAL_ROOFS, ANY),
    },
    "cover11": {
        "tree": ("tree", ANY), "shrub": ("shrub", ANY), "lawn": ("lawn", ANY), "dry grass": ("dry_grass meadow", ANY),
        "bare soil": ("soil", ANY), "street": (ASPHALT, ANY), "pavement": ("pavement gravel", ANY),
        "flat roof": (FLAT_ROOFS, ANY),
        "metal roof": (METAL_ROOFS, ANY), "pitched roof": (PITCHED_ROOFS, ANY), "water": ("water", ANY),
    },
    "cover6": {
        "wood": ("tree shrub", ANY),  "building": ("roof", ANY),
        "bare ground": ("soil dry_grass", ANY), "crop and meadow": ("crop lawn meadow", ANY),
        "road": ("road pavement", ANY),
        "orchard": ("tree shrub grass soil", "orchard"),
    },
    "use8": {
        "forest": (ANY, WOODED), "residential": (ANY, "houses terrace"), "industrial": (ANY, "halls"),
        "low plants": (ANY, "meadow pasture park pitch field"), "soil": ("soil dry_grass", "fallow field"),
        "allotment": (ANY, "orchard farmstead"), "commercial": (ANY, "towers parking"), "water": ("water", ANY),
    },
    "use7": {
        "forest": (ANY, WOODED), "residential": (ANY, "houses terrace"), "industrial": (ANY, "halls"),
        "low plants": (ANY, "meadow pasture park pitch field fallow"), "allotment": (ANY, "orchard farmstead"),
        "commercial": (ANY, "towers parking"), "water": ("water", ANY),
    },
}  # fmt: skip
LEGENDS: Mapping[str, tuple[str, ...]] = {name: tuple(rules) for name, rules in RULES.items()}
MASKS: Mapping[str, str] = {
    "building": "roof", "road": "road", "impervious": "roof road pavement vehicle", "water": "water", "tree": "tree",
}  # fmt: skip
TILE = 24  # px: a wide field of one class is labelled in parts no wider
LEAST = 4  # px of a labelled region


@lru_cache(maxsize=8)
def _table(legend: str) -> np.ndarray:
    """[materials, uses + 1] int16: class of a material in a block of a use (last column: on a carriageway), or -1."""
    table = np.full((len(library()), len(USES) + 1), -1, np.int16)
    streets = [STREET]
    for index, (cover, use) in enumerate(RULES[legend].values()):
        words = set(cover.split())
        kinds = words - set(labels())  # a word that names a material and a class of them means the material
        rows = [cover == ANY or m.name in words or m.category in kinds for m in library()]
        columns = [(use == ANY) or (name in use.split()) for name in [*USES, *streets]]
        table[np.ix_(rows, columns)] = index
    return table


def shares(scene: Scene, gsd: float, size: int, table: np.ndarray, count: int) -> np.ndarray:
    """Share of each class in each pixel of ``gsd``.

    Args:
        scene: to look at.
        gsd: m, a whole multiple of the scene's pixel.
        size: px in one direction.
        table: [materials, uses + 1] class or -1.
        count: classes.

    Returns:
        [count, size, size] float32.
    """
    factor = whole(gsd / scene.pixel)
    uses = np.array([list(USES).index(use) for use in scene.uses])[scene.block]
    uses[scene.street] = len(USES)
    first, second = table[scene.first, uses], table[scene.second, uses]
    # a roof or a car on the ground has no second material; a crown's gaps belong to the crown
    second = np.where(scene.height > 1.0, first, second)
    out = np.empty((count, size, size), np.float32)
    for index in range(count):
        held = (first == index) * (np.float32(1) - scene.mix) + (second == index) * scene.mix
        out[index] = mean(np.asarray(held, np.float32), factor)[:size, :size]
    return out


def label_map(scene: Scene, gsd: float, size: int, legend: str, least: float = 0.5) -> np.ndarray:
    """[size, size] int16: the class that holds more than ``least`` of a pixel, -1 where none does.

    Raises:
        ConfigError: an unknown legend.
    """
    if legend not in RULES:
        raise ConfigError(f"legend={legend}: one of {', '.join(RULES)}")
    held = shares(scene, gsd, size, _table(legend), len(RULES[legend]))
    return np.where(held.max(0) > least, held.argmax(0), -1).astype(np.int16)


def masks(scene: Scene, gsd: float, size: int) -> dict[str, np.ndarray]:
    """[1, size, size] uint8 under the names of MASKS: 1 where they cover more than half of a pixel."""
    names = {m.name: m for m in library()}
    found = {}
    for name, words in MASKS.items():
        table = np.array([0 if m.category in words.split() else -1 for m in names.values()], np.int16)
        held = shares(scene, gsd, size, np.repeat(table[:, None], len(USES) + 1, 1), 1)
        found[name] = (held > 0.5).astype(np.uint8)
    # a car or the paint on a carriageway is road to a map maker
    street = mean(scene.street.astype(np.float32), whole(gsd / scene.pixel))[:size, :size] > 0.5
    tall = found["building"][0] | found["tree"][0] | found["water"][0]
    found["road"][0] |= (street & (tall == 0)).astype(np.uint8)
    return found


def label_regions(labelled: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Keep the labels of some connected regions of each class, as map makers do.

    Args:
        labelled: [n, n] int16 classes, -1 none.
        share: of all pixels that keep a label, about.
        rng: chooses.

    Returns:
        [n, n] int16 labels and [n, n] int32 numbers of regions from 1, 0 none.
    """
    height, width = labelled.shape
    offset = rng.integers(0, TILE, 2)
    tile = ((np.arange(height) + offset[0]) // TILE)[:, None] * 4096 + ((np.arange(width) + offset[1]) // TILE)[None]
    regions = np.zeros(labelled.shape, np.int32)
    kept = np.full(labelled.shape, -1, np.int16)
    wanted = share / max(float((labelled >= 0).mean()), 1e-6)
    number = 0
    for index in np.unique(labelled[labelled >= 0]):
        inside = labelled == index
        parts, count = _pieces(inside, tile)
        if not count:
            continue
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        order = [int(part) for part in rng.permutation(count) + 1 if sizes[part] >= LEAST]
        budget, used = wanted * inside.sum(), 0
        for place, part in enumerate(order):
            if used >= budget and place >= 4:
                break
            number += 1
            used += int(sizes[part])
            here = parts == part
            regions[here], kept[here] = number, index
    return kept, regions


def _pieces(inside: np.ndarray, tile: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected pieces of a mask, cut along the edges of tiles."""
    parts, count = ndimage.label(inside)
    if not count:
        return parts, 0
    joint = np.where(inside, parts.astype(np.int64) * 2**26 + tile, 0)
    numbers = np.unique(joint, return_inverse=True)[1].reshape(inside.shape)
    numbers = numbers + (0 if (~inside).any() else 1)
    return numbers, int(numbers.max())


def separated(kept: np.ndarray, regions: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Training and test labels from different regions, about a third and two thirds of each class's regions.

    Args:
        kept: [n, n] int16 labels, -1 none.
        regions: [n, n] int32, 0 none.
        rng: chooses.

    Returns:
        two [n, n] int16, -1 elsewhere; a class of one region trains only.
    """
    train, test = np.full_like(kept, -1), np.full_like(kept, -1)
    for index in np.unique(kept[kept >= 0]):
        numbers = rng.permutation(np.unique(regions[kept == index]))
        here = np.isin(regions, numbers[: max(1, len(numbers) // 3)])
        train[here] = index
        test[(kept == index) & ~here] = index
    return train, test


def end_members(bands: Sequence[Band], groups: Sequence[Sequence[str]]) -> np.ndarray:
    """Mean spectra of groups of materials: [P, B] float32 DN of level sunlit ground."""
    nodes = band_weights(bands)[1]
    curves = {material.name: nodes @ material.reflectance for material in library()}
    return np.array([np.mean([curves[name] for name in group], 0) for group in groups], np.float32) * np.float32(FULL)


def group_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Materials of each class of materials named, see ``materials.CLASSES``."""
    unknown = set(names) - set(CLASSES)
    if unknown:
        raise ConfigError(f"no class of materials {', '.join(sorted(unknown))}; there are {', '.join(CLASSES)}")
    return [tuple(m.name for m in library() if m.category == name) for name in names]


def abundances(scene: Scene, gsd: float, size: int, groups: Sequence[Sequence[str]]) -> np.ndarray:
    """Share of each group of materials in each pixel: [P, size, size] float32; what is in no group is left out."""
    table = np.full(len(library()), -1, np.int16)
    for index, group in enumerate(groups):
        table[[labels()[name] for name in group]] = index
    return shares(scene, gsd, size, np.repeat(table[:, None], len(USES) + 1, 1), len(groups))


def facts(scene: Scene) -> dict[str, Any]:
    """Plain facts of a scene for ``meta``."""
    return {
        "seed": scene.seed, "day": scene.day, "regions": list(scene.regions), "sun_elevation": scene.sun.elevation,
        "sun_azimuth": scene.sun.azimuth, "pixel": scene.pixel,
    }  # fmt: skip
