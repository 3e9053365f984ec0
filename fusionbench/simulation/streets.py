"""Streets, blocks and what each block is used for: the plan that a scene is painted from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Use:
    """What covers the ground of a block.

    Args:
        base: candidate materials.
        cover: candidate materials mixed over it.
        share: mean share of the cover, 0..1.
        patchy: how strongly the share follows the patch noise.
        rows: period of planting rows or of painted bays in m, 0 for none.
    """

    base: tuple[str, ...]
    cover: tuple[str, ...]
    share: float
    patchy: float
    rows: float = 0.0


USES: Mapping[str, Use] = {
    "towers": Use(("concrete", "paving_brick", "asphalt_old", "gravel"), ("lawn", "dry_grass", "lawn"), 0.35, 2.2),
    "terrace": Use(("paving_brick", "concrete", "loam"), ("lawn", "lawn", "meadow"), 0.6, 1.6),
    "halls": Use(("asphalt_old", "concrete", "gravel"), ("dry_grass", "asphalt_new", "loam"), 0.25, 1.8),
    "parking": Use(("asphalt_old", "asphalt_new"), ("asphalt_old", "concrete"), 0.3, 0.8),
    "park": Use(("meadow", "dry_grass"), ("lawn", "lawn", "meadow"), 0.6, 1.0),
    "pitch": Use(("lawn", "sports_ground"), ("sand", "lawn", "dry_grass"), 0.15, 0.7),
    "houses": Use(("dry_grass", "loam", "meadow"), ("lawn", "lawn", "meadow"), 0.65, 1.1),
    "wood": Use(("dark_soil", "meadow"), ("shrub", "heath", "lawn"), 0.5, 1.2),
    "field": Use(
        ("loam", "dark_soil", "red_soil"), ("cereal_green", "maize", "rapeseed", "cereal_ripe", "dry_grass"),
        0.6, 0.3, 2.4,
    ),
    "fallow": Use(("loam", "dark_soil", "red_soil", "loam"), ("dry_grass", "meadow", "loam"), 0.2, 0.4, 3.0),
    "pasture": Use(("meadow", "loam"), ("lawn", "meadow", "dry_grass"), 0.6, 0.6),
    "orchard": Use(("dry_grass", "loam"), ("lawn", "meadow"), 0.5, 0.5),
    "farmstead": Use(("gravel", "loam", "concrete"), ("lawn", "dry_grass"), 0.5, 1.6),
    "forest": Use(("dark_soil", "heath"), ("shrub", "meadow"), 0.5, 0.8),
    "heath": Use(("sand", "dark_soil", "dry_grass"), ("heath", "shrub", "heath"), 0.6, 1.0),
    "meadow": Use(("dry_grass", "loam"), ("meadow", "lawn"), 0.65, 0.7),
    "campus": Use(("meadow",), ("lawn", "meadow"), 0.6, 1.0),
    "station": Use(("gravel",), ("gravel", "red_soil"), 0.35, 0.5, 4.8),
    "civic": Use(("paving_brick",), ("paving_brick", "concrete"), 0.3, 0.6),
}  # fmt: skip


@dataclass(frozen=True)
class Region:
    """A kind of landscape.

    Args:
        across, along: range of block sizes in m.
        half_width: range of half the width of a street, m.
        pavement: width of the footway beside it, m.
        street: candidate materials of the carriageway.
        uses: use of a block -> probability.
        tree_cover: share of streets lined with trees.
        relief: range of heights of the terrain, m.
    """

    across: tuple[float, float]
    along: tuple[float, float]
    half_width: tuple[float, float]
    pavement: float
    street: tuple[str, ...]
    uses: Mapping[str, float]
    tree_cover: float
    relief: tuple[float, float]


REGIONS: Mapping[str, Region] = {
    "urban": Region(
        (48, 80), (55, 110), (3.8, 6.5), 2.2, ("asphalt_old", "asphalt_new"),
        {"towers": 0.46, "terrace": 0.22, "halls": 0.10, "park": 0.08, "parking": 0.09, "pitch": 0.05}, 0.4, (5, 12),
    ),
    "suburb": Region(
        (46, 62), (80, 160), (2.8, 4.0), 1.4, ("asphalt_old", "asphalt_new"),
        {"houses": 0.74, "park": 0.07, "wood": 0.06, "halls": 0.07, "pitch": 0.03, "parking": 0.03}, 0.35, (5, 20),
    ),
    "farmland": Region(
        (32, 90), (45, 140), (1.3, 2.4), 0.8, ("gravel", "loam", "asphalt_old"),
        {"field": 0.38, "fallow": 0.13, "pasture": 0.13, "orchard": 0.13, "farmstead": 0.13, "wood": 0.10},
        0.15, (6, 25),
    ),
    "wild": Region(
        (60, 130), (60, 160), (1.2, 2.0), 1.0, ("gravel", "loam", "sand"),
        {"forest": 0.56, "heath": 0.14, "meadow": 0.16, "wood": 0.06, "farmstead": 0.05, "fallow": 0.03}, 0.0, (15, 50),
    ),
    # parts of a town, for land use and activity
    "centre": Region(
        (50, 80), (55, 100), (3.8, 6.5), 2.2, ("asphalt_old", "asphalt_new"),
        {"towers": 0.2, "terrace": 0.16, "civic": 0.16, "station": 0.12, "parking": 0.08, "park": 0.12, "campus": 0.1,
         "fallow": 0.06}, 0.4, (5, 12),
    ),
    "quarter": Region(
        (48, 70), (55, 100), (2.8, 4.5), 1.6, ("asphalt_old", "asphalt_new"),
        {"houses": 0.2, "halls": 0.26, "campus": 0.12, "pitch": 0.09, "park": 0.08, "wood": 0.04, "fallow": 0.11,
         "station": 0.06, "parking": 0.04}, 0.35, (5, 12),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block between streets, in the street coordinates (u, v) of its region, m; ``use`` is a key of USES."""

    use: str
    u0: float
    u1: float
    v0: float
    v1: float


class Streets:
    """The street grid of one region: parallel strips in u, each cut into blocks along v.

    Args:
        rng: source of randomness.
        region: key of REGIONS.
        reach: coordinates run from -reach to reach, m.
        scale: factor on all lengths; above 1 for sensors that see no single house.
    """

    def __init__(self, rng: np.random.Generator, region: str, reach: float, scale: float) -> None:
        kind = REGIONS[region]
        self.region = kind
        self.reach = reach
        self.cuts = _cuts(rng, kind.across, reach, scale)
        self.half = rng.uniform(*kind.half_width, len(self.cuts)) * scale
        names, weights = list(kind.uses), np.array(list(kind.uses.values()))
        self.blocks: list[Block] = []
        self.v_low: list[np.ndarray] = []
        starts = [0]
        half_v = float(np.mean(kind.half_width)) * scale * 0.9
        for strip in range(len(self.cuts) - 1):
            cross = _cuts(rng, kind.along, reach, scale)
            picks = rng.choice(len(names), len(cross) - 1, p=weights / weights.sum())
            u0, u1 = self.cuts[strip] + self.half[strip], self.cuts[strip + 1] - self.half[strip + 1]
            for index, pick in enumerate(picks):
                self.blocks.append(
                    Block(names[pick], u0, u1, float(cross[index] + half_v), float(cross[index + 1] - half_v))
                )
            self.v_low.append(cross)
            starts.append(len(self.blocks))
        self.starts = np.array(starts)

    def locate(self, u: np.ndarray, v: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Which block each pixel belongs to, and how far it lies inside its edge.

        Args:
            u, v: street coordinates in m, float32, within the reach.
            step: m, fineness of the look-up; far below the width of a street.

        Returns:
            block index (int32), and the distance to the nearest street edge in m (float32), negative on the street.
        """
        count = math.ceil(2 * self.reach / step) + 1
        middle = (np.arange(count) + 0.5) * step - self.reach
        strip_of = np.clip(np.searchsorted(self.cuts, middle) - 1, 0, len(self.cuts) - 2)
        block_of = np.empty((len(self.v_low), count), np.int32)
        for strip, cross in enumerate(self.v_low):
            block_of[strip] = self.starts[strip] + np.clip(np.searchsorted(cross, middle) - 1, 0, len(cross) - 2)
        bin_u = _bin(u, self.reach, step, count)
        bin_v = _bin(v, self.reach, step, count)
        block = block_of.ravel().take(strip_of[bin_u] * count + bin_v)
        sides = np.array([(b.u0, b.u1, b.v0, b.v1) for b in self.blocks], np.float32)
        inside = np.minimum(u - sides[:, 0].take(block), sides[:, 1].take(block) - u)
        np.minimum(inside, v - sides[:, 2].take(block), out=inside)
        np.minimum(inside, sides[:, 3].take(block) - v, out=inside)
        return block, inside


def _bin(x: np.ndarray, reach: float, step: float, count: int) -> np.ndarray:
    scaled = (x + np.float32(reach)) * np.float32(1 / step)
    return np.clip(scaled, 0, count - 1).astype(np.int32)


def _cuts(rng: np.random.Generator, gaps: tuple[float, float], reach: float, scale: float) -> np.ndarray:
    count = math.ceil(2 * reach / (gaps[0] * scale)) + 2
    return (
        -reach
        - rng.uniform(0, gaps[1] * scale)
        + np.cumsum(np.concatenate([[0.0], rng.uniform(gaps[0], gaps[1], count) * scale]))
    )
