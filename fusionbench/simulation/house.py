"""One building: walls, roof, what stands on the roof."""

from __future__ import annotations

import numpy as np

from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.vehicles import pick

PITCHED = ("roof_tile_red", "roof_tile_brown", "roof_slate", "roof_tile_red", "roof_metal_grey", "roof_bitumen")
FLAT = (
    "roof_concrete",
    "roof_gravel",
    "roof_bitumen",
    "roof_membrane",
    "roof_gravel",
    "roof_concrete",
    "roof_metal_grey",
)
HALL = (
    "roof_metal_grey",
    "roof_metal_blue",
    "roof_membrane",
    "roof_rust",
    "roof_metal_green",
    "roof_gravel",
    "roof_bitumen",
)


def building(
    canvas: Canvas, rng: np.random.Generator, region: int, u: float, v: float, a: float, b: float,
    material: str, eaves: float, roof: str, bright: float | None = None,
) -> None:  # fmt: skip
    """One rectangular building of half sides a, b; ``roof`` is gable, hip or flat."""
    found = canvas.rectangle(region, u, v, a, b)
    if found is None:
        return
    window, du, dv = found
    across, along = np.abs(du), np.abs(dv)
    mask = (across < a) & (along < b)
    if not mask.any():
        return
    aged, tinted = rng.normal(0, 1.1, 2)
    canvas.fill(window, mask, material, rng.normal(1.0, 0.13) if bright is None else bright)
    canvas.aged[window][mask] += np.float32(aged)
    canvas.tinted[window][mask] += np.float32(tinted)
    height = np.full(du.shape, eaves, np.float32)
    if roof != "flat":
        slope = np.float32(rng.uniform(0.35, 0.8))
        rise = np.float32(min(a, b)) - (across if a < b else along)
        if roof == "hip":
            rise = np.minimum(np.float32(a) - across, np.float32(b) - along)
        rise *= slope
        canvas.relief[window][mask] = rise[mask]
        height += rise
    canvas.raise_(window, mask, height)
    if roof == "flat" and min(a, b) > 4 * canvas.scale:
        _roof_units(canvas, rng, region, u, v, a, b, eaves)
    elif roof != "flat" and rng.random() < 0.12:
        side = rng.choice([-1.0, 1.0])
        panel = (np.abs(du - side * a / 2) < a * 0.3) & (along < b * 0.5)
        canvas.fill_roof(window, panel & mask, "solar_panel")


def _roof_units(
    canvas: Canvas, rng: np.random.Generator, region: int, u: float, v: float, a: float, b: float, eaves: float
) -> None:
    """Plant rooms, ducts and skylights on a flat roof, and its raised rim."""
    for _ in range(int(rng.integers(1, 6))):
        du, dv = rng.uniform(-0.75, 0.75, 2) * (a, b)
        half_u, half_v = rng.uniform(0.5, 2.4, 2) * canvas.scale
        found = canvas.rectangle(region, u + du, v + dv, half_u, half_v)
        if found is None:
            continue
        window, x, y = found
        mask = (np.abs(x) < half_u) & (np.abs(y) < half_v) & (canvas.height[window] >= eaves - 0.1)
        canvas.fill_roof(window, mask, pick(rng, ("roof_metal_grey", "roof_membrane", "roof_bitumen", "roof_concrete")))
        canvas.raise_(window, mask, eaves + rng.uniform(0.6, 3.0) * canvas.scale)
