"""Houses, towers, terraces, halls and farms."""

from __future__ import annotations

import numpy as np

from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.house import FLAT, HALL, PITCHED, building
from fusionbench.simulation.institutions import campus, civic, station
from fusionbench.simulation.streets import Block, Streets
from fusionbench.simulation.vehicles import car, park, pick, slab, street_cars


def build(canvas: Canvas, rng: np.random.Generator, region: int, streets: Streets) -> None:
    """Put up the buildings and vehicles of a region's blocks."""
    for block in streets.blocks:
        reach = canvas.size * canvas.pixel * 0.75
        if max(abs(block.u0 + block.u1), abs(block.v0 + block.v1)) / 2 > reach:
            continue
        maker = MAKERS.get(block.use)
        if maker is not None:
            maker(canvas, rng, region, block)
        if block.use not in ("forest", "heath", "meadow", "field", "fallow", "pasture", "orchard"):
            street_cars(canvas, rng, region, block)


def _houses(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Two rows of detached houses back to back, with garages, drives, terraces, hedges and pools."""
    scale = canvas.scale
    width, length = block.u1 - block.u0, block.v1 - block.v0
    lot = rng.uniform(15, 24) * scale
    count = max(1, int(length / lot))
    lot = length / count
    common = pick(rng, PITCHED)
    for row in (0, 1):
        side = 1.0 if row == 0 else -1.0
        front = block.u0 if row == 0 else block.u1
        for index in range(count):
            if rng.random() < 0.06:
                continue
            v = block.v0 + (index + 0.5 + rng.uniform(-0.08, 0.08)) * lot
            half_u, half_v = rng.uniform(3.8, 6.2) * scale, min(rng.uniform(3.6, 6.5) * scale, 0.42 * lot)
            setback = rng.uniform(4, 9) * scale
            u = front + side * min(setback + half_u, width * 0.3)
            material = common if rng.random() < 0.5 else pick(rng, PITCHED)
            drive = rng.choice([-0.36, 0.36]) * lot
            slab(
                canvas,
                rng,
                region,
                front + side * setback * 0.6,
                v + drive,
                setback * 0.65,
                1.5 * scale,
                ("concrete", "paving_brick", "asphalt_old", "gravel"),
            )
            if rng.random() < 0.5:
                slab(
                    canvas,
                    rng,
                    region,
                    u + side * (half_u + 2 * scale),
                    v,
                    2.4 * scale,
                    half_v * 0.8,
                    ("paving_brick", "concrete"),
                )
            roof = "gable" if rng.random() < 0.6 else "hip"
            eaves = rng.uniform(3.2, 6.0) * scale
            building(canvas, rng, region, u, v, half_u, half_v, material, eaves, roof)
            if rng.random() < 0.4:
                wing = rng.uniform(0.4, 0.6)
                building(
                    canvas,
                    rng,
                    region,
                    u + side * half_u * 0.9,
                    v + drive * 0.3,
                    half_u * wing,
                    half_v * wing,
                    material,
                    eaves * 0.85,
                    roof,
                )
            if rng.random() < 0.55:
                building(
                    canvas,
                    rng,
                    region,
                    front + side * (setback + 2 * scale),
                    v + drive,
                    2.8 * scale,
                    1.6 * scale,
                    pick(rng, FLAT),
                    2.7 * scale,
                    "flat",
                )
            if rng.random() < 0.3:
                building(
                    canvas,
                    rng,
                    region,
                    u + side * (half_u + rng.uniform(5, 9) * scale),
                    v - drive,
                    1.6 * scale,
                    1.3 * scale,
                    pick(rng, PITCHED),
                    2.2 * scale,
                    "flat",
                )
            if rng.random() < 0.10:
                slab(canvas, rng, region, u + side * (half_u + 7 * scale), v, 3.6 * scale, 2.8 * scale, ("concrete",))
                slab(canvas, rng, region, u + side * (half_u + 7 * scale), v, 2.6 * scale, 1.8 * scale, ("pool",))
            if rng.random() < 0.5:
                car(canvas, rng, region, front + side * setback * 0.5, v + drive, True)


def _towers(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Free-standing slabs and towers with flat roofs, some on a lower base."""
    scale = canvas.scale
    rows = max(1, round((block.u1 - block.u0) / (rng.uniform(24, 36) * scale)))
    columns = max(1, round((block.v1 - block.v0) / (rng.uniform(26, 44) * scale)))
    step_u, step_v = (block.u1 - block.u0) / rows, (block.v1 - block.v0) / columns
    for index in range(rows * columns):
        if rng.random() < 0.12:
            continue
        u = block.u0 + (index // columns + 0.5) * step_u
        v = block.v0 + (index % columns + 0.5) * step_v
        a, b = step_u * rng.uniform(0.24, 0.43), step_v * rng.uniform(0.24, 0.43)
        eaves = rng.uniform(6, 22) * scale * (1.0 if rng.random() < 0.85 else 1.5)
        building(canvas, rng, region, u, v, a, b, pick(rng, FLAT), eaves, "flat")
        if rng.random() < 0.45:
            shrink = rng.uniform(0.4, 0.75)
            building(
                canvas,
                rng,
                region,
                u,
                v + b * (1 - shrink) * rng.uniform(-1, 1),
                a * shrink,
                b * shrink,
                pick(rng, FLAT),
                eaves * 1.25,
                "flat",
            )
    for _ in range(int(rng.integers(2, 9))):
        car(
            canvas,
            rng,
            region,
            rng.uniform(block.u0, block.u1),
            rng.uniform(block.v0, block.v1),
            bool(rng.random() < 0.5),
        )


def _terrace(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Buildings along the edge of the block, a courtyard inside."""
    scale = canvas.scale
    depth = rng.uniform(5, 6.5) * scale
    roofs = PITCHED if rng.random() < 0.6 else FLAT
    for u in (block.u0 + depth + 1.5 * scale, block.u1 - depth - 1.5 * scale):
        v = block.v0 + 2 * scale
        while v < block.v1 - 6 * scale:
            half = min(rng.uniform(5, 13) * scale, (block.v1 - 2 * scale - v) / 2)
            roof = "flat" if roofs is FLAT else "gable"
            building(canvas, rng, region, u, v + half, depth, half, pick(rng, roofs), rng.uniform(8, 15) * scale, roof)
            v += 2 * half
    for v in (block.v0 + depth + 1.5 * scale, block.v1 - depth - 1.5 * scale):
        half = (block.u1 - block.u0) / 2 - 2 * depth - 2 * scale
        if half > 3 * scale:
            building(
                canvas,
                rng,
                region,
                (block.u0 + block.u1) / 2,
                v,
                half,
                depth,
                pick(rng, roofs),
                rng.uniform(8, 15) * scale,
                "flat" if roofs is FLAT else "gable",
            )
    for _ in range(int(rng.integers(0, 5))):
        u, v = (
            rng.uniform(0.35, 0.65) * (block.u1 - block.u0) + block.u0,
            rng.uniform(0.2, 0.8) * (block.v1 - block.v0) + block.v0,
        )
        building(
            canvas,
            rng,
            region,
            u,
            v,
            rng.uniform(1.5, 4) * scale,
            rng.uniform(1.5, 5) * scale,
            pick(rng, FLAT),
            3.0 * scale,
            "flat",
        )


def _halls(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    """Large low buildings with metal or membrane roofs, yards with cars."""
    count = int(rng.integers(1, 4))
    step = (block.v1 - block.v0) / count
    for index in range(count):
        u, v = (block.u0 + block.u1) / 2, block.v0 + (index + 0.5) * step
        a, b = (block.u1 - block.u0) * rng.uniform(0.25, 0.38), step * rng.uniform(0.28, 0.44)
        building(
            canvas,
            rng,
            region,
            u,
            v,
            a,
            b,
            pick(rng, HALL),
            rng.uniform(6, 11) * canvas.scale,
            "gable" if rng.random() < 0.3 else "flat",
        )
    park(canvas, rng, region, Block("parking", block.u0, block.u0 + 0.12 * (block.u1 - block.u0), block.v0, block.v1))


def _farmstead(canvas: Canvas, rng: np.random.Generator, region: int, block: Block) -> None:
    for _ in range(int(rng.integers(3, 8))):
        u, v = rng.uniform(0.2, 0.8, 2) * (block.u1 - block.u0, block.v1 - block.v0) + (block.u0, block.v0)
        a, b = rng.uniform(4, 8) * canvas.scale, rng.uniform(6, 16) * canvas.scale
        if rng.random() < 0.5:
            a, b = b, a
        building(
            canvas, rng, region, u, v, a, b, pick(rng, PITCHED + HALL), rng.uniform(3.5, 7) * canvas.scale, "gable"
        )


MAKERS = {
    "houses": _houses,
    "towers": _towers,
    "terrace": _terrace,
    "halls": _halls,
    "parking": park,
    "farmstead": _farmstead,
    "campus": campus,
    "station": station,
    "civic": civic,
}
