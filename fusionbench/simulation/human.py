"""What people do in a town: functions of its blocks, points of interest, users per hour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from fusionbench.errors import ConfigError
from fusionbench.sensors import load_sensor
from fusionbench.simulation.labels import facts
from fusionbench.simulation.noise import stream
from fusionbench.simulation.scene import Scene, build_scene
from fusionbench.simulation.spectral import noisy, observe_bands

FUNCTIONS = ("residential", "commercial", "industrial", "public", "education", "transport", "green", "other")
POINTS = ("home service", "shop", "restaurant", "office", "works", "school", "stop", "leisure")

# use of a block (what stands there) -> weights of its functions (what it is for)
FUNCTION_OF = {
    "houses": {"residential": 90, "other": 10},
    "towers": {"residential": 76, "commercial": 20, "public": 4},
    "terrace": {"commercial": 74, "residential": 22, "public": 4},
    "halls": {"industrial": 84, "commercial": 10, "transport": 6},
    "parking": {"transport": 82, "commercial": 18},
    "park": {"green": 90, "public": 4, "other": 6},
    "wood": {"green": 90, "other": 10},
    "pitch": {"education": 76, "green": 24},
    "campus": {"education": 88, "public": 8, "industrial": 4},
    "station": {"transport": 88, "industrial": 12},
    "civic": {"public": 86, "commercial": 10, "education": 4},
    "fallow": {"other": 88, "industrial": 8, "green": 4},
}
MIXED = 0.3  # of the blocks serve a second function
SECOND = (0.2, 0.48)  # its share
NEIGHBOURS = (0.05, 0.3)  # of a block's users belong to the blocks around it
WANDERING = 0.9  # h, standard deviation of when a block's day begins
UNEVEN = 0.35  # standard deviation of log users that lasts for hours
POINT_ERROR, WRONG = (10.0, 30.0), 0.1  # m; share of points with a wrong type
EMPTY = 0.5  # of the blocks show no points at all
# users per hour and hectare, and points per block by type
DENSITY = dict(zip(FUNCTIONS, (60, 120, 50, 80, 70, 140, 25, 12), strict=True))
POINTS_OF = {
    "residential": (3.0, 0.8, 0.6, 0.2, 0.0, 0.2, 0.3, 0.1), "commercial": (0.5, 3.5, 2.5, 2.0, 0.0, 0.1, 0.5, 0.6),
    "industrial": (0.1, 0.2, 0.3, 0.8, 2.6, 0.0, 0.3, 0.0), "public": (0.4, 0.4, 0.6, 1.8, 0.0, 0.4, 0.6, 0.8),
    "education": (0.4, 0.3, 0.6, 0.3, 0.0, 2.6, 0.4, 0.5), "transport": (0.1, 0.9, 0.7, 0.3, 0.2, 0.0, 2.8, 0.0),
    "green": (0.1, 0.1, 0.3, 0.0, 0.0, 0.1, 0.2, 2.2), "other": (0.2, 0.1, 0.1, 0.1, 0.4, 0.0, 0.2, 0.1),
}  # fmt: skip
# humps of a working day and of a day off: (hour, hours wide, height), over a floor
Day = tuple[float, tuple[tuple[float, float, float], ...]]
WORKING: dict[str, Day] = {
    "residential": (0.55, ((21, 3.2, 0.5), (7, 1.5, 0.25), (13, 3.0, -0.15))),
    "commercial": (0.12, ((13, 2.2, 0.55), (19, 2.4, 0.8))), "industrial": (0.15, ((10, 2.4, 0.75), (15, 2.4, 0.75))),
    "public": (0.08, ((10.5, 2.0, 0.8), (15, 2.0, 0.7))), "education": (0.10, ((10, 2.6, 0.9), (15, 2.0, 0.6))),
    "transport": (0.12, ((8, 1.3, 0.9), (18, 1.5, 0.95), (13, 3.0, 0.3))),
    "green": (0.06, ((7, 1.6, 0.3), (18.5, 2.2, 0.5))), "other": (0.35, ((14, 4.0, 0.3),)),
}  # fmt: skip
OFF: dict[str, Day] = {
    "residential": (0.65, ((21, 3.5, 0.4), (11, 3.0, 0.1))), "commercial": (0.12, ((15, 3.4, 1.0), (20, 2.0, 0.5))),
    "industrial": (0.12, ((12, 4.0, 0.2),)), "public": (0.08, ((13, 3.0, 0.3),)),
    "education": (0.10, ((13, 4.0, 0.2),)), "transport": (0.12, ((11, 3.0, 0.5), (18, 2.5, 0.6))),
    "green": (0.08, ((10, 2.2, 0.7), (16, 2.4, 1.0))), "other": (0.33, ((14, 4.5, 0.3),)),
}  # fmt: skip


@dataclass(frozen=True)
class Town:
    """A town and its blocks.

    Args:
        scene: what it looks like.
        blocks: [n] numbers of the blocks that lie inside.
        centre: [n, 2] row and column of their middles on the scene's grid.
        area: [n] ha.
        proportions: [n, 8] share of each of FUNCTIONS.
        points: [m, 3] row, column, type of points of interest, as recorded.
        true_points: [m, 3] where and what they are.
    """

    scene: Scene
    blocks: np.ndarray
    centre: np.ndarray
    area: np.ndarray
    proportions: np.ndarray
    points: np.ndarray
    true_points: np.ndarray


def build_town(seed: int, size: int, gsd: float, margin: int = 0) -> Town:
    """The town of a seed.

    Args:
        seed: 0 or above.
        size: px in one direction, a multiple of 16.
        gsd: m.
        margin: px that a block's middle keeps from the edge.

    Raises:
        ConfigError: no block lies inside.
    """
    scene = build_scene(seed, size, gsd, 0.0, regions=("centre", "quarter"), scale=max(1.0, gsd / 1.5))
    rng = stream(seed, "functions")
    count = np.bincount(scene.block.ravel(), minlength=len(scene.uses))
    lines = np.arange(size)
    rows = np.bincount(scene.block.ravel(), np.repeat(lines, size), len(scene.uses)) / np.maximum(count, 1)
    columns = np.bincount(scene.block.ravel(), np.tile(lines, size), len(scene.uses)) / np.maximum(count, 1)
    centre = np.stack([rows, columns], 1)
    inside = (centre >= margin).all(1) & (centre <= size - margin).all(1)
    kept = np.flatnonzero(inside & (count > 0.3 * np.median(count[count > 0])))
    kept = kept[[scene.uses[block] in FUNCTION_OF for block in kept]]
    if not len(kept):
        raise ConfigError(
            f"simulate: no block of the town lies {margin} px inside of {size} px: a larger size is needed"
        )
    proportions = np.stack([_functions(rng, scene.uses[block]) for block in kept])
    area = count[kept] * gsd**2 / 1e4
    true, recorded = _points(stream(seed, "points"), centre[kept], area, proportions, gsd)
    return Town(scene, kept, centre[kept], area, proportions, recorded, true)


def _functions(rng: np.random.Generator, use: str) -> np.ndarray:
    """Shares of functions of a block: one, or a main one and a second."""
    weights = np.array([FUNCTION_OF[use].get(name, 0.0) for name in FUNCTIONS])
    main = int(rng.choice(len(FUNCTIONS), p=weights / weights.sum()))
    shares = np.zeros(len(FUNCTIONS))
    second = int(rng.integers(len(FUNCTIONS) - 1))
    part = round(rng.uniform(*SECOND), 4)
    if rng.random() < MIXED:
        shares[second + (second >= main)] = part
    shares[main] = 1 - shares.sum()
    return shares


def _points(
    rng: np.random.Generator, centre: np.ndarray, area: np.ndarray, proportions: np.ndarray, gsd: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points of interest as they are and as a map has them."""
    rates = proportions @ np.array([POINTS_OF[name] for name in FUNCTIONS])
    counts = rng.poisson(rates) * (rng.random((len(centre), 1)) > EMPTY)
    block, kind = np.nonzero(counts)
    repeats = counts[block, kind]
    block, kind = np.repeat(block, repeats), np.repeat(kind, repeats)
    spread = np.sqrt(area[block] * 1e4)[:, None] / gsd * 0.35
    place = centre[block] + rng.uniform(-1, 1, (len(block), 2)) * spread
    turn, off = rng.uniform(0, 2 * math.pi, len(block)), rng.uniform(*POINT_ERROR, len(block)) / gsd
    moved = place + np.stack([np.sin(turn), np.cos(turn)], 1) * off[:, None]
    wrong = rng.random(len(block)) < WRONG
    noted = np.where(wrong, (kind + rng.integers(1, len(POINTS), len(block))) % len(POINTS), kind)
    true, recorded = np.column_stack([place, kind]), np.column_stack([moved, noted])
    return np.round(true, 3), np.round(recorded, 3)


def profile(function: str, off: bool, hours: np.ndarray) -> np.ndarray:
    """Users of a function over a day, about 0..1, at ``hours`` (any shape, modulo 24)."""
    floor, humps = (OFF if off else WORKING)[function]
    total = np.full(hours.shape, floor)
    for hour, wide, height in humps:
        apart = (hours - hour + 12) % 24 - 12
        total = total + height * np.exp(-0.5 * (apart / wide) ** 2)
    return np.maximum(total, 0.02)


def activity(town: Town, days: str = "week") -> np.ndarray:
    """Users per hour of each block.

    Args:
        town: of `build_town`.
        days: ``week``: Monday to Sunday, 168 h; ``two``: mean working day, then mean day off, 48 h.

    Returns:
        [n, 168] or [n, 48] float32.

    Raises:
        ConfigError: other days.
    """
    if days not in ("week", "two"):
        raise ConfigError(f"days={days}: must be week or two")
    rng = stream(town.scene.seed, "activity")
    count = len(town.blocks)
    late = rng.normal(0, WANDERING, (count, 1, 1))
    hours = np.arange(24)[None, None, :] - late
    own = np.zeros((count, 7, 24))
    size = town.area[:, None, None] * np.exp(rng.normal(0, 0.5, (count, 1, 1)))
    for index, name in enumerate(FUNCTIONS):
        days_of = [profile(name, day >= 5, hours[:, 0]) for day in range(7)]
        own += town.proportions[:, index, None, None] * np.stack(days_of, 1) * DENSITY[name]
    distance = np.linalg.norm(town.centre[:, None] - town.centre[None], axis=2)
    near = np.exp(-distance / np.median(np.partition(distance, 1, 1)[:, 1]) / 1.5)
    np.fill_diagonal(near, 0)
    around = np.tensordot(near / near.sum(1, keepdims=True), own, axes=1)
    spill = rng.uniform(*NEIGHBOURS, (count, 1, 1))
    users = ((1 - spill) * own + spill * around) * size
    wobble = ndimage.gaussian_filter1d(rng.normal(0, 1, (count, 168)), 2.0, axis=1, mode="wrap") * 2.66
    users = users.reshape(count, 168) * np.exp(UNEVEN * wobble)
    seen = rng.poisson(np.minimum(users, 1e6)).astype(np.float64)
    if days == "two":
        shaped = seen.reshape(count, 7, 24)
        seen = np.concatenate([shaped[:, :5].mean(1), shaped[:, 5:].mean(1)], 1)
    return seen.astype(np.float32)


def distances(town: Town) -> np.ndarray:
    """Distance to the nearest recorded point of each type, [8, N, N] float32 m; the town's size where there is none."""
    size, gsd = town.scene.first.shape[0], town.scene.pixel
    out = np.full((len(POINTS), size, size), size * gsd, np.float32)
    for kind in range(len(POINTS)):
        places = np.rint(town.points[town.points[:, 2] == kind, :2]).astype(int)
        places = places[((places >= 0) & (places < size)).all(1)]
        if len(places):
            free = np.ones((size, size), bool)
            free[places[:, 0], places[:, 1]] = False
            out[kind] = ndimage.distance_transform_edt(free) * gsd
    return out


def simulate_zones(
    seed: int, size: int = 768, gsd: float = 1.2, patch: int = 64, days: str = "week", by: str = "block"
) -> dict[str, Any]:
    """Places of a town with what is seen, near and done there, and what they are for.

    Args:
        seed: 0 or above: one town.
        size: px of the town in one direction, a multiple of 16.
        gsd: m.
        patch: px, side of a place's window.
        days: see :func:`activity`.
        by: ``block``: windows on the middles of street blocks; ``cell``: all windows of a regular grid.

    Returns:
        ``image`` [n, 3, p, p] float32 DN (red, green, blue, 1e-4 reflectance); ``activity`` [n, T] users per
        hour; ``poi`` [n, 8] counts of POINTS; ``poi_maps`` [n, 8, p, p] float32 m; ``label`` [n] int64, the largest of
        ``proportions`` [n, 8] float32; ``position`` [n, 2] int64 (of a block: its middle in px; of a
        cell: row and column in the grid); ``names``; ``poi_names``; ``meta``.

    Raises:
        ConfigError: another ``by``, days, or a town without a block inside.
    """
    if by not in ("block", "cell"):
        raise ConfigError(f"by={by}: must be block or cell")
    town = build_town(seed, size, gsd, patch // 2)
    bands = [load_sensor("quickbird").bands[index] for index in load_sensor("quickbird").rgb]
    image = noisy(observe_bands(town.scene, bands, gsd, size), 80.0, stream(seed, "town image"))
    maps, series = distances(town), activity(town, days)
    if by == "block":
        middles, proportions = np.rint(town.centre).astype(int), town.proportions
        position, users = middles, series
    else:
        middles, position, proportions, users = _cells(town, series, patch)
    corners = np.clip(middles - patch // 2, 0, size - patch)
    cut = [(slice(None), slice(r, r + patch), slice(c, c + patch)) for r, c in corners]
    found = town.points[:, :2]
    counts = np.zeros((len(corners), len(POINTS)), np.int64)
    for index, corner in enumerate(corners):
        here = ((found >= corner) & (found < corner + patch)).all(1)
        counts[index] = np.bincount(town.points[here, 2].astype(int), minlength=len(POINTS))
    return {
        "image": np.stack([image[one] for one in cut]), "activity": users, "poi": counts,
        "poi_maps": np.stack([maps[one] for one in cut]), "label": proportions.argmax(1).astype(np.int64),
        "proportions": proportions.astype(np.float32), "position": position.astype(np.int64), "names": FUNCTIONS,
        "poi_names": POINTS,
        "meta": facts(town.scene) | {"gsd": gsd, "days": days, "by": by, "points": len(town.points)} | _told(town),
    }  # fmt: skip


def _told(town: Town) -> dict[str, float]:
    """How far points lie aside on average, m, and the share of them with a wrong type."""
    off = np.linalg.norm(town.points[:, :2] - town.true_points[:, :2], axis=1) * town.scene.pixel
    wrong = town.points[:, 2] != town.true_points[:, 2]
    return {"points_off": round(float(off.mean()), 3), "points_of_wrong_type": round(float(wrong.mean()), 4)}


def _cells(town: Town, series: np.ndarray, patch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows of a regular grid: middles, rows and columns, shares of functions, users; those with blocks in them."""
    count = town.scene.first.shape[0] // patch
    number = np.full(len(town.scene.uses), -1)
    number[town.blocks] = np.arange(len(town.blocks))
    owner = number[town.scene.block]
    rows, shares, users, middles = [], [], [], []
    pixels = np.bincount(owner[owner >= 0], minlength=len(town.blocks))
    for row in range(count):
        for column in range(count):
            window = owner[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
            held = np.bincount(window[window >= 0], minlength=len(town.blocks))
            if held.sum() < 0.5 * patch**2:
                continue
            rows.append((row, column))
            middles.append((row * patch + patch // 2, column * patch + patch // 2))
            shares.append(held @ town.proportions / held.sum())
            users.append((held / np.maximum(pixels, 1)) @ series)
    return np.array(middles), np.array(rows), np.array(shares), np.array(users, np.float32)
