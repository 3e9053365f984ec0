"""Vehicles that stand and vehicles that drive, car parks, paved slabs."""

from __future__ import annotations

import numpy as np

from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.materials import labels
from fusionbench.simulation.streets import Block

CARS = ("car_white", "car_dark", "car_silver", "car_dark", "car_red", "car_blue", "car_silver", "car_white")


def pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    """One of some names."""
    return names[int(rng.integers(len(names)))]


def slab(
    canvas: Canvas,
    rng: np.random.Generator,
    region: int,
    u: float,
    v: float,
    a: float,
    b: float,
    names: tuple[str, ...],
) -> None:
    """A paved rectangle of half sides a, b."""
    found = canvas.rectangle(region, u, v, a, b)
    if found is not None:
        window, du, dv = found
        mask = (np.abs(du) < a) & (np.abs(dv) < b)
        canvas.fill(window, mask, pick(rng, names), rng.normal(1.0, 0.12))


def park(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Rows of bays with painted lines, part of them taken."""
    scale = canvas.scale
    taken = rng.uniform(0.3, 0.85)
    rows = max(1, int((block.u1 - block.u0) / (8.0 * scale)))
    for row in range(rows):
        u = block.u0 + (row + 0.5) * (block.u1 - block.u0) / rows
        v = block.v0 + 2 * scale
        while v < block.v1 - 2 * scale:
            slab(canvas, rng, region, u, v + 1.35 * scale, 2.4 * scale, 0.12 * scale, ("road_paint",))
            if rng.random() < taken:
                car(canvas, rng, region, u, v, True)
            v += 2.7 * scale


def car(
    canvas: Canvas, rng: np.random.Generator, region: int, u: float, v: float, along_u: bool, moves: float = 0.0
) -> None:
    """A vehicle; ``moves`` in m along its own direction between PAN's and MS's moment."""
    long, short = (2.25, 0.95) if rng.random() < 0.93 else (4.5, 1.25)
    a, b = (long, short) if along_u else (short, long)
    a, b = a * canvas.scale, b * canvas.scale
    material = pick(rng, CARS)
    found = canvas.rectangle(region, u, v, a, b)
    if found is None:
        return
    window, du, dv = found
    mask = (np.abs(du) < a) & (np.abs(dv) < b) & (canvas.height[window] < 0.5)
    if not moves:
        canvas.fill(window, mask, material, rng.normal(1.0, 0.1))
        canvas.raise_(window, mask, 1.5 * canvas.scale)
        glass = mask & (np.abs(np.abs(du if along_u else dv) - 0.45 * long * canvas.scale) < 0.16 * long * canvas.scale)
        canvas.fill_roof(window, glass, "car_dark")
        return
    other = canvas.rectangle(region, u + moves * along_u, v + moves * (not along_u), a, b)
    if other is None:
        return
    there, x, y = other
    moved = (np.abs(x) < a) & (np.abs(y) < b) & (canvas.height[there] < 0.5)
    label = labels()[material]
    canvas.moving.append((_pixels(window, mask, label), _pixels(there, moved, label)))


def _pixels(window: tuple[slice, slice], mask: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray, int]:
    rows, columns = np.nonzero(mask)
    return rows + window[0].start, columns + window[1].start, label


def street_cars(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Parked and driving vehicles on the street at the low-u side of a block."""
    scale = canvas.scale
    for _ in range(rng.poisson((block.v1 - block.v0) / (22 * scale))):
        v = rng.uniform(block.v0, block.v1)
        if rng.random() < 0.65:
            car(canvas, rng, region, block.u0 - 1.2 * scale, v, False)
        else:
            step = rng.uniform(0.5, 3.0) * rng.choice([-1, 1]) * canvas.displacement
            car(canvas, rng, region, block.u0 - 3.0 * scale, v, False, moves=step)
