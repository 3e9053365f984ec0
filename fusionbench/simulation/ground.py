"""What lies on the ground: streets and their markings, the cover of each block with its season, water."""

from __future__ import annotations

import math

import numpy as np

from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.materials import labels
from fusionbench.simulation.noise import field, lognormal, smoothstep
from fusionbench.simulation.streets import USES, Streets

# crop -> days of the year when it greens up and when it is ripe or cut
SEASONS = {"cereal_green": (75, 175), "maize": (150, 265), "rapeseed": (70, 170), "cereal_ripe": (170, 235)}

# m -> amplitude: brightness of waves and wind streaks, turbidity
WAVES = {40: 0.06, 15: 0.06, 6: 0.07, 2.5: 0.08, 1: 0.08, 0.4: 0.06}
LAKES = (0.06, 0.16)  # share of a scene by lakes that is water
PLUMES = {60: 0.4, 20: 0.4, 8: 0.3}


def greenness(day: float, onset: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Cover of a crop on a day, 0..1: a double logistic with slopes of 9 days (Beck et al., RSE 100, 2006)."""
    rise = 1 / (1 + np.exp(-(day - onset) / 9))
    fall = 1 / (1 + np.exp(-(day - end) / 9))
    return np.round(np.clip(rise - fall, 0, 1), 6)


def lay_ground(canvas: Canvas, rng: np.random.Generator, streets: tuple[Streets, Streets], day: int) -> None:
    """Cover the whole scene with streets and the ground of its blocks, as on a day of the year."""
    patches = field(
        rng, canvas.size, canvas.pixel,
        {40 * canvas.scale: 0.4, 16 * canvas.scale: 0.4, 6 * canvas.scale: 0.45, 2.2 * canvas.scale: 0.7,
         0.8 * canvas.scale: 0.45, 0.3 * canvas.scale: 0.3},
    )  # fmt: skip
    for part in (0, 1):
        rows, columns = _box(canvas.region == part)
        window = rows, columns
        inside = canvas.region[window] == part
        if not inside.any():
            continue
        block, depth = streets[part].locate(canvas.u[window], canvas.v[window], 0.3 * canvas.scale)
        _blocks(canvas, rng, streets[part], window, inside, block, patches, day)
        _streets(canvas, rng, streets[part], window, inside, depth, patches)


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _blocks(
    canvas: Canvas, rng: np.random.Generator, streets: Streets, window: tuple[slice, slice], inside: np.ndarray,
    block: np.ndarray, patches: np.ndarray, day: int,
) -> None:  # fmt: skip
    """Draw each block's materials, then gather them for its pixels."""
    count = len(streets.blocks)
    first, second = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
    share, patchy, period = (np.zeros(count, np.float32) for _ in range(3))
    onset_shift, amplitude = rng.normal(0, 15, count), rng.normal(1, 0.15, count)
    for index, one in enumerate(streets.blocks):
        use = USES[one.use]
        cover = use.cover[int(rng.integers(len(use.cover)))]
        first[index] = labels()[use.base[int(rng.integers(len(use.base)))]]
        second[index] = labels()[cover]
        grown = use.share
        if cover in SEASONS:
            start, end = SEASONS[cover]
            shift = onset_shift[index]
            cover_now = float(greenness(day, np.array(start + shift), np.array(end + shift)))
            grown = min(0.97, max(0.06, cover_now * amplitude[index] * 0.95))
        share[index], patchy[index] = grown, use.patchy
        period[index] = use.rows * canvas.scale
    canvas.block[window][inside] = block[inside] + len(canvas.uses)
    canvas.uses += [one.use for one in streets.blocks]
    canvas.first[window][inside] = first.take(block)[inside]
    canvas.second[window][inside] = second.take(block)[inside]
    mix = share.take(block)
    mix += patches[window] * patchy.take(block) * np.float32(0.45)
    rows = np.array([p > 0 for p in period]).take(block)
    along = canvas.u[window] / np.maximum(period.take(block), np.float32(0.1))
    along -= np.floor(along)
    mix += np.where(rows, (np.abs(along - np.float32(0.5)) - np.float32(0.25)) * np.float32(0.9), np.float32(0))
    canvas.mix[window][inside] = np.clip(mix, 0, 1)[inside]
    canvas.bright[window] *= np.where(
        inside, rng.normal(1, 0.13, count).clip(0.6, 1.4).astype(np.float32).take(block), 1
    )
    canvas.aged[window] += np.where(inside, rng.normal(0, 0.9, count).astype(np.float32).take(block), 0)
    canvas.tinted[window] += np.where(inside, rng.normal(0, 0.9, count).astype(np.float32).take(block), 0)


def _streets(
    canvas: Canvas, rng: np.random.Generator, streets: Streets, window: tuple[slice, slice], inside: np.ndarray,
    depth: np.ndarray, patches: np.ndarray,
) -> None:  # fmt: skip
    """Carriageways with repairs and a dashed middle line, footways beside them."""
    region, scale = streets.region, canvas.scale
    paved = region.street[0].startswith("asphalt")
    first, second, mix = canvas.first[window], canvas.second[window], canvas.mix[window]
    street = inside & (depth < 0)
    canvas.street[window] |= street
    main = labels()[region.street[int(rng.integers(len(region.street)))]]
    first[street] = main
    second[street] = labels()["asphalt_new" if paved else "meadow"]
    mix[street] = (smoothstep(patches[window], 0.5, 0.9) * np.float32(0.8))[street]
    footway = inside & (depth >= 0) & (depth < np.float32(region.pavement * scale))
    first[footway] = labels()["concrete" if paved else "meadow"]
    second[footway] = labels()["paving_brick" if paved else "dry_grass"]
    mix[footway] = smoothstep(patches[window], -0.3, 0.6)[footway]
    if paved:
        half = float(np.median(streets.half))
        along = canvas.v[window] * np.float32(1 / (6 * scale))
        dash = (along - np.floor(along)) < np.float32(0.5)
        line = street & dash & (np.abs(depth + np.float32(half)) < np.float32(0.15 * scale))
        first[line] = second[line] = labels()["road_paint"]


def lay_water(canvas: Canvas, rng: np.random.Generator, landscape: tuple[str, str]) -> None:
    """Lakes in the wild, a river elsewhere that streets cross on bridges; they clear away what stood there.

    Args:
        canvas: painted up to the buildings.
        rng: source of randomness.
        landscape: names of the two regions.
    """
    size, scale = canvas.size, canvas.scale
    winding = field(rng, size, canvas.pixel, {0.35 * size * canvas.pixel: 0.9, 30 * scale: 0.05, 8 * scale: 0.015})
    turn, level, width = rng.uniform(0, 2 * math.pi), rng.uniform(-0.7, 0.7), rng.uniform(7, 16)
    dry = 1 - rng.uniform(*LAKES)
    turbid = bool(rng.random() < 0.5)
    if "wild" in landscape:
        below = winding - np.partition(winding.ravel(), int(dry * size * size))[int(dry * size * size)]
        material, bank = ("lake_clear", 0.035)
    else:
        half = size * canvas.pixel / 2
        axis = ((np.arange(size) + 0.5) * canvas.pixel - half).astype(np.float32)
        line = (
            np.float32(round(math.cos(turn), 6)) * axis[None, :] + np.float32(round(math.sin(turn), 6)) * axis[:, None]
        )
        aside = line + winding * np.float32(0.25 * half) - np.float32(level * half)
        below = (np.float32(width * scale) - np.abs(aside)) * np.float32(0.02 / scale)
        below[canvas.street] = -1  # bridges
        material, bank = ("river_turbid" if turbid else "lake_clear", 0.02)
    shore = (below > -bank) & (below <= 0)
    water = below > 0
    everywhere = (slice(None), slice(None))
    for mask, name in ((shore, "meadow" if turbid else "sand"), (water, material)):
        canvas.fill(everywhere, mask, name)
    canvas.second[shore] = labels()["shrub"]
    canvas.second[water] = labels()["river_turbid"]
    canvas.mix[water] = np.clip((bank * 3 - below[water]) * np.float32(4), 0, 0.8)
    waves, plumes = (
        field(rng, size, canvas.pixel, {metres * scale: amplitude for metres, amplitude in scales.items()})
        for scales in (WAVES, PLUMES)
    )
    canvas.bright[water] = lognormal(waves[water])
    canvas.aged[water] = winding[water] + plumes[water]
    canvas.tinted[water] = np.float32(0.5) - winding[water]
