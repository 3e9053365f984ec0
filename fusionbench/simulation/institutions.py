"""Schools, stations and public buildings."""

from __future__ import annotations

import numpy as np

from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.house import building
from fusionbench.simulation.streets import Block
from fusionbench.simulation.vehicles import pick, slab


def campus(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Long teaching buildings around a sports ground."""
    scale = canvas.scale
    middle, half = (block.u0 + block.u1) / 2, (block.u1 - block.u0) / 2
    edge = block.v0 + rng.uniform(0.4, 0.6) * (block.v1 - block.v0)
    roof = pick(rng, ("roof_tile_brown", "roof_tile_red", "roof_gravel"))
    for u in (block.u0 + 9 * scale, block.u1 - 9 * scale):
        length = (edge - block.v0) * 0.4
        eaves = rng.uniform(7, 13) * scale
        building(canvas, rng, region, u, block.v0 + 1.25 * length, 5.5 * scale, length, roof, eaves, "flat")
    building(canvas, rng, region, middle, edge - 6 * scale, half * 0.5, 5 * scale, roof, 9 * scale, "flat")
    track, grass = ("sports_ground",), ("lawn", "sports_ground")
    place = (edge + block.v1) / 2
    slab(canvas, rng, region, middle, place, half * 0.7, (block.v1 - edge) * 0.38, track)
    slab(canvas, rng, region, middle, place, half * 0.52, (block.v1 - edge) * 0.27, grass)


def station(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Platforms and trains side by side, a long low hall at one side."""
    scale = canvas.scale
    length, middle = (block.v1 - block.v0) / 2, (block.v0 + block.v1) / 2
    side = block.u0 + 8 * scale
    long, roof = length * rng.uniform(0.4, 0.85), pick(rng, ("roof_metal_grey", "roof_bitumen"))
    building(canvas, rng, region, side, middle, 5 * scale, long, roof, 7 * scale, "flat")
    u = side + 11 * scale
    while u < block.u1 - 4 * scale:
        slab(canvas, rng, region, u, middle, 1.6 * scale, length * 0.9, ("concrete", "concrete", "asphalt_old"))
        if rng.random() < 0.5:
            train = rng.uniform(0.3, 0.8) * length
            v = middle + rng.uniform(-0.15, 0.15) * length
            colour = pick(rng, ("car_red", "car_white", "car_blue", "car_silver"))
            building(canvas, rng, region, u + 3.6 * scale, v, 1.5 * scale, train, colour, 3.8 * scale, "flat")
        u += 8.5 * scale


def civic(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """One large building with wings in a paved square."""
    u, v = (block.u0 + block.u1) / 2, (block.v0 + block.v1) / 2
    a, b = (block.u1 - block.u0) * rng.uniform(0.16, 0.24), (block.v1 - block.v0) * rng.uniform(0.26, 0.36)
    roof = pick(rng, ("roof_slate", "roof_metal_green"))
    eaves = rng.uniform(10, 18) * canvas.scale
    kind = "hip"
    building(canvas, rng, region, u, v, a, b, roof, eaves, kind)
    for end in (-1, 1):
        building(canvas, rng, region, u, v + end * b * 0.85, a * 1.6, b * 0.22, roof, eaves, kind)
