"""Trees and shrubs: crowns stamped one by one onto a scene."""

from __future__ import annotations

import numpy as np

from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.materials import CLASSES, categories, labels
from fusionbench.simulation.noise import cascade
from fusionbench.simulation.streets import Block, Streets

BROAD = ("broadleaf_tree", "light_tree", "broadleaf_tree", "conifer_tree")
# use -> crowns per 100 m^2, range of crown radii in m, clumping 0..1
PLANTED = {
    "houses": (0.45, (0.7, 3.2), 0.3),
    "towers": (0.30, (1.0, 3.4), 0.3),
    "terrace": (0.35, (1.0, 3.6), 0.3),
    "halls": (0.06, (1.0, 2.8), 0.5),
    "parking": (0.12, (1.0, 2.2), 0.0),
    "park": (0.9, (1.2, 5.0), 0.8),
    "pitch": (0.10, (1.5, 4.0), 0.8),
    "wood": (4.5, (1.2, 4.6), 0.35),
    "forest": (5.5, (1.3, 5.0), 0.25),
    "heath": (2.0, (0.4, 1.8), 0.7),
    "meadow": (0.15, (0.8, 4.0), 0.8),
    "pasture": (0.06, (1.0, 4.5), 0.8),
    "farmstead": (0.7, (1.0, 4.2), 0.5),
    "field": (0.0, (1.0, 3.0), 0.0),
    "fallow": (0.02, (0.8, 3.0), 0.5),
    "campus": (0.35, (1.0, 3.6), 0.6),
    "station": (0.02, (0.8, 2.4), 0.5),
    "civic": (0.4, (1.0, 4.0), 0.4),
}  # fmt: skip
ROUGH = 64  # px of the noise tile that crowns take their outline and bumps from


class Crowns:
    """Crown shapes: a dome with an irregular outline and branches, made once per radius and variant."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.tile = cascade(rng, 4 * ROUGH, 4 * ROUGH, {1: 0.45, 2: 0.6, 3: 0.6})
        self.made: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def shape(self, radius: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
        """Mask and dome height (0..1) of a crown of ``radius`` px, [2 radius + 1]^2."""
        key = radius, variant
        if key not in self.made:
            axis = np.arange(-radius, radius + 1, dtype=np.float32)
            distance = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2) / np.float32(radius + 0.3)
            picks = np.arange(2 * radius + 1) * max(1, 20 // (2 * radius + 1)) + 23 * variant
            bumps = self.tile[np.ix_(picks % len(self.tile), (picks * 7 // 5 + 31 * variant) % len(self.tile))]
            reach = distance + np.float32(0.14) * bumps
            dome = np.sqrt(np.clip(1 - reach * reach, 0, 1))
            self.made[key] = reach < 0.93, (dome + np.float32(0.10) * bumps).clip(0.05, 1.2)
        return self.made[key]


def plant(canvas: Canvas, rng: np.random.Generator, region: int, streets: Streets) -> None:
    """Plant the blocks and streets of a region."""
    crowns = Crowns(rng)
    reach = canvas.size * canvas.pixel * 0.75
    for block in streets.blocks:
        if max(abs(block.u0 + block.u1), abs(block.v0 + block.v1)) / 2 > reach:
            continue
        if block.use == "orchard":
            _orchard(canvas, rng, region, block, crowns)
            continue
        density, radii, clumping = PLANTED[block.use]
        width, length = block.u1 - block.u0, block.v1 - block.v0
        count = rng.poisson(density * rng.uniform(0.6, 1.4) * width * length / (100 * canvas.scale**2))
        _scatter(canvas, rng, region, block, crowns, count, radii, clumping)
        if rng.random() < streets.region.tree_cover:
            _avenue(canvas, rng, region, block, crowns)
        if block.use in ("field", "pasture", "fallow", "houses") and rng.random() < 0.45:
            _hedge(canvas, rng, region, block, crowns)


def _scatter(
    canvas: Canvas, rng: np.random.Generator, region: int, block: Block, crowns: Crowns, count: int,
    radii: tuple[float, float], clumping: float,
) -> None:  # fmt: skip
    """Crowns at random, part of them in clumps; the species of a wood change slowly."""
    conifers = rng.random()
    clumps = rng.uniform(0.05, 0.95, (1 + count // 9, 2))
    places = rng.random((count, 2))
    joined = rng.random(count) < clumping
    chosen = rng.integers(len(clumps), size=count)
    places[joined] = clumps[chosen[joined]] + rng.normal(0, 0.06, (int(joined.sum()), 2))
    sizes = radii[0] + (radii[1] - radii[0]) * rng.random(count) ** 1.6
    kinds = rng.random(count)
    dense = block.use in ("wood", "forest")
    for (along, across), radius, kind in zip(places, sizes, kinds, strict=True):
        u = block.u0 + along * (block.u1 - block.u0)
        v = block.v0 + across * (block.v1 - block.v0)
        if radius < 1.1:
            species = "shrub"
        elif dense:
            mixed = kind + 0.6 * (conifers - 0.5)
            species = "conifer_tree" if mixed > 0.72 else "light_tree" if mixed < 0.15 else "broadleaf_tree"
        else:
            species = BROAD[int(kind * 4)] if kind < 0.85 else "shrub"
        _tree(canvas, rng, crowns, region, u, v, radius * canvas.scale, species, dense)


def _avenue(canvas: Canvas, rng: np.random.Generator, region: int, block: Block, crowns: Crowns) -> None:
    step, radius = rng.uniform(6, 11) * canvas.scale, rng.uniform(1.6, 3.2) * canvas.scale
    species = BROAD[int(rng.integers(3))]
    for v in np.arange(block.v0 + step / 2, block.v1, step):
        if rng.random() < 0.85:
            size = radius * rng.uniform(0.75, 1.2)
            _tree(canvas, rng, crowns, region, block.u0 + 0.8 * canvas.scale, v + rng.normal(0, 0.5), size, species)


def _hedge(canvas: Canvas, rng: np.random.Generator, region: int, block: Block, crowns: Crowns) -> None:
    for v in np.arange(block.v0, block.v1, 1.2 * canvas.scale):
        size = rng.uniform(0.6, 1.3) * canvas.scale
        _tree(
            canvas,
            rng,
            crowns,
            region,
            block.u1 - 0.6 * canvas.scale,
            v,
            size,
            "shrub" if rng.random() < 0.8 else "light_tree",
        )


def _orchard(canvas: Canvas, rng: np.random.Generator, region: int, block: Block, crowns: Crowns) -> None:
    step = rng.uniform(4, 6.5) * canvas.scale
    radius = step * rng.uniform(0.28, 0.42)
    for u in np.arange(block.u0 + step / 2, block.u1, step):
        for v in np.arange(block.v0 + step / 2, block.v1, step * 0.85):
            if rng.random() < 0.93:
                _tree(canvas, rng, crowns, region, u, v, radius * rng.uniform(0.8, 1.15), "light_tree")


def _allowed() -> np.ndarray:
    """Grounds that a plant may stand on."""
    fit = np.isin(categories(), [CLASSES.index(c) for c in ("grass", "soil", "crop", "shrub", "tree", "pavement")])
    fit[labels()["road_paint"]] = False
    return fit


ALLOWED = _allowed()


def _tree(
    canvas: Canvas, rng: np.random.Generator, crowns: Crowns, region: int, u: float, v: float, radius: float,
    species: str, dense: bool = False,
) -> None:  # fmt: skip
    """Stamp one crown: it covers what is lower than itself."""
    variant, shine, aged, tinted, slender = int(rng.integers(6)), *rng.normal(0, 1, 3), rng.uniform(0.9, 1.6)
    place = canvas.position(region, u, v)
    if (
        place is None
        or not ALLOWED[canvas.first[place]]
        or (canvas.height[place] > 0.5 and not dense and species != "shrub")
    ):
        return
    reach = max(1, round(radius / canvas.pixel))
    mask, dome = crowns.shape(reach, variant)
    row, column = place
    rows, columns = slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)
    window = rows, columns
    here = canvas.height[window]
    cut = (
        slice(rows.start - row + reach, rows.start - row + reach + here.shape[0]),
        slice(columns.start - column + reach, columns.start - column + reach + here.shape[1]),
    )
    crown = radius * (1.5 if species == "conifer_tree" else 0.95)
    top = min(
        crown * slender + (1.0 if species == "shrub" else 2.5) * canvas.scale * min(1.0, radius), 26 * canvas.scale
    )
    shape = dome[cut] * np.float32(crown)
    surface = shape + np.float32(top - crown)
    covered = mask[cut] & (surface > here)
    here[covered] = surface[covered]
    canvas.relief[window][covered] = shape[covered] * np.float32(0.75)
    label = labels()[species]
    canvas.first[window][covered] = label
    canvas.second[window][covered] = labels()["dark_soil"] if species != "shrub" else label
    canvas.mix[window][covered] = (np.float32(0.42) - np.float32(0.5) * dome[cut][covered]).clip(0, 1)
    canvas.bright[window][covered] *= np.float32(max(0.5, 1.0 + 0.13 * shine)) * (
        np.float32(0.72) + np.float32(0.32) * dome[cut][covered]
    )
    canvas.aged[window][covered] += np.float32(1.0 * aged)
    canvas.tinted[window][covered] += np.float32(1.0 * tinted)
