"""Reflectance of materials from 0.4 to 2.5 um as parametric curves, with two ways each varies inside its class.

The curves are built from what is known of each material: chlorophyll absorbs at 0.44 and 0.67 um and leaves scatter
beyond the red edge near 0.72 um; liquid water absorbs at 0.97, 1.2, 1.45 and 1.94 um; iron oxides below 0.55 and at
0.87 um; clay and carbonate at 2.2 and 2.33 um; water bodies decay beyond 0.6 um; concrete and asphalt rise slowly;
paints are flat with an edge, white ones with titanium dioxide's near 0.42 um; polymers (membranes, coatings) absorb
near 1.7 and 2.3 um.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

WAVELENGTHS = np.arange(400.0, 2501.0, 10.0)  # nm
CLASSES = (
    "water", "tree", "shrub", "grass", "crop", "soil", "road", "pavement", "roof", "vehicle",
)  # fmt: skip

Curve = np.ndarray


def _bump(center: float, width: float) -> Curve:
    return np.exp(-0.5 * ((WAVELENGTHS - center) / width) ** 2)


def _edge(center: float, width: float) -> Curve:
    return 1.0 / (1.0 + np.exp(-(WAVELENGTHS - center) / width))


def _ramp(points: tuple[tuple[float, float], ...]) -> Curve:
    return np.interp(WAVELENGTHS, [x for x, _ in points], [y for _, y in points])


def _liquid_water(depth: float) -> Curve:
    absorbed = 0.10 * _bump(970, 25) + 0.22 * _bump(1200, 40) + 1.2 * _bump(1450, 55) + 1.8 * _bump(1940, 75)
    return np.exp(-depth * (absorbed + 0.9 * _edge(2350, 90) + 0.25 * _edge(1350, 40)))


def leaf(chlorophyll: float, nir: float, water: float, green: float = 0.10, dry: float = 0.0) -> Curve:
    """Canopy: chlorophyll 0..1.5, plateau ``nir``, water depth, height of the green peak, share of dry matter."""
    absorbed = 1.0 * _bump(430, 45) + 0.75 * _bump(490, 35) + 0.95 * _bump(670, 28) + 0.55 * _bump(620, 40)
    visible = (0.02 + green) * np.exp(-chlorophyll * (1.55 * absorbed + 0.15))
    edge = _edge(712 + 8 * chlorophyll, 13)
    fresh = visible * (1 - edge) + nir * edge * _liquid_water(water) * (1 + 0.03 * _bump(860, 100))
    straw = (
        (0.07 + 0.30 * (1 - np.exp(-(WAVELENGTHS - 380) / 380))) * _liquid_water(0.25) * (1 - 0.12 * _bump(2100, 60))
    )
    return (1 - dry) * fresh + dry * straw


def ground(low: float, high: float, iron: float = 0.0, clay: float = 0.1, moist: float = 0.15) -> Curve:
    """Soil: rises from ``low`` at 0.4 um towards ``high`` in the shortwave infrared."""
    rise = low + (high - low) * (1 - np.exp(-(WAVELENGTHS - 400) / 450))
    oxide = np.exp(-iron * (1.1 * (1 - _edge(565, 28)) + 0.22 * _bump(870, 60)))
    return rise * oxide * _liquid_water(moist) * (1 - clay * _bump(2205, 30))


def mineral(low: float, high: float, carbonate: float = 0.0) -> Curve:
    """Concrete, asphalt, stone, slate: nearly flat, a little darker below 0.55 um."""
    shape = 1 - np.exp(-(WAVELENGTHS - 300) / 260)
    return (low + (high - low) * shape) * (1 - carbonate * _bump(2330, 40)) * _liquid_water(0.05)


def paint(
    base: float, bumps: tuple[tuple[float, float, float], ...] = (), edges: tuple[tuple[float, float], ...] = ()
) -> Curve:
    """Painted metal or membrane: flat, with (centre, width, height) bumps and (wavelength, rise) edges."""
    curve = np.full_like(WAVELENGTHS, base)
    for center, width, height in bumps:
        curve = curve + height * _bump(center, width)
    for center, rise in edges:
        curve = curve + rise * _edge(center, 14)
    return curve * (1 - 0.10 * _bump(1720, 30) - 0.12 * _bump(2300, 50))


def lake(level: float, green: float, sediment: float) -> Curve:
    """A water body: ``level`` below 0.5 um, a green bump, sediment that lifts it up to 0.85 um."""
    clear = level * np.exp(-np.maximum(WAVELENGTHS - 480, 0) / 110) + green * _bump(560, 45)
    return (
        clear
        + sediment * _ramp(((400, 0.4), (570, 1.0), (680, 0.9), (740, 0.45), (810, 0.5), (900, 0.12), (1000, 0)))
        + 0.004
    )


@dataclass(frozen=True)
class Material:
    """A material: its class, mean reflectance, and one standard deviation of its two shape components."""

    name: str
    category: str
    reflectance: Curve
    first: Curve
    second: Curve


def _plant(name: str, category: str, make: Callable[[float, float, float], Curve]) -> Material:
    """``make(chlorophyll change, water change, dryness)``: components are chlorophyll and drying."""
    mean = make(0.0, 0.0, 0.0)
    return Material(
        name, category, mean, (make(0.3, 0.15, 0.0) - make(-0.3, -0.15, 0.0)) / 2, make(-0.05, -0.1, 0.2) - mean
    )


def _soil(name: str, mean: Curve, iron: float = 0.16) -> Material:
    wet = mean * (-0.16 - 0.10 * _edge(1300, 150)) * (0.5 + 0.5 * _liquid_water(0.5))
    return Material(name, "soil", mean, wet, mean * iron * (_edge(570, 40) - 0.6))


def _built(name: str, category: str, mean: Curve, ageing: float = 0.10, tint: float = 0.15) -> Material:
    """Components: weathering towards a neutral grey-brown, and a tilt between blue and infrared."""
    dirt = mineral(0.08, 0.22)
    tilt = np.clip((WAVELENGTHS - 620) / 400, -0.6, 1.0)
    return Material(name, category, mean, ageing * 1.6 * (dirt - mean), mean * tint * tilt)


def _water(name: str, mean: Curve) -> Material:
    return Material(name, "water", mean, 0.25 * mean * (_bump(580, 90) + 0.4), lake(0.008, 0.003, 0.0) * 0.6)


def _petals() -> Curve:
    """What yellow flowers add."""
    return 0.10 * _edge(520, 12) * (1 - _edge(690, 15))


@lru_cache(maxsize=1)
def library() -> tuple[Material, ...]:
    """All materials, in a fixed order: their positions are the labels of a scene."""
    return (
        _water("lake_clear", lake(0.030, 0.012, 0.004)),
        _water("river_turbid", lake(0.035, 0.02, 0.055)),
        _water("pool", lake(0.30, 0.10, 0.0) + 0.02),
        _plant("broadleaf_tree", "tree", lambda c, w, d: leaf(1.0 + c, 0.46 + 0.1 * c, 0.75 + w, 0.115, d)),
        _plant("conifer_tree", "tree", lambda c, w, d: leaf(1.1 + c, 0.27 + 0.08 * c, 0.9 + w, 0.07, d)),
        _plant("light_tree", "tree", lambda c, w, d: leaf(0.75 + c, 0.52 + 0.1 * c, 0.65 + w, 0.14, 0.06 + d)),
        _plant("shrub", "shrub", lambda c, w, d: leaf(0.97 + c, 0.44 + 0.1 * c, 0.72 + w, 0.115, 0.02 + d)),
        _plant("heath", "shrub", lambda c, w, d: leaf(0.8 + c, 0.28 + 0.08 * c, 0.5 + w, 0.10, 0.25 + d)),
        _plant("lawn", "grass", lambda c, w, d: leaf(0.85 + c, 0.50 + 0.1 * c, 0.6 + w, 0.15, 0.05 + d)),
        _plant("meadow", "grass", lambda c, w, d: leaf(0.8 + c, 0.40 + 0.1 * c, 0.5 + w, 0.13, 0.22 + d)),
        _plant("dry_grass", "grass", lambda c, w, d: leaf(0.6 + c, 0.36 + 0.05 * c, 0.3 + w, 0.13, 0.65 + d)),
        _plant("cereal_green", "crop", lambda c, w, d: leaf(1.05 + c, 0.50 + 0.1 * c, 0.7 + w, 0.12, d)),
        _plant("maize", "crop", lambda c, w, d: leaf(1.15 + c, 0.56 + 0.1 * c, 0.9 + w, 0.14, d)),
        _plant("rapeseed", "crop", lambda c, w, d: leaf(0.7 + c, 0.54 + 0.1 * c, 0.6 + w, 0.17, d) + _petals()),
        _plant("cereal_ripe", "crop", lambda c, w, d: leaf(0.5 + c, 0.38, 0.2 + w, 0.14, 0.85 + d)),
        _soil("dark_soil", ground(0.045, 0.24, 0.2, 0.05)),
        _soil("loam", ground(0.075, 0.35, 0.32, 0.1)),
        _soil("red_soil", ground(0.085, 0.37, 0.68, 0.12)),
        _soil("sand", ground(0.15, 0.50, 0.35, 0.04, 0.08)),
        _built("asphalt_new", "road", mineral(0.045, 0.085), 0.2),
        _built("asphalt_old", "road", mineral(0.095, 0.19), 0.15),
        _built("gravel", "road", mineral(0.15, 0.32, 0.05), 0.1),
        _built("concrete", "pavement", mineral(0.20, 0.40, 0.06), 0.14),
        _built("paving_brick", "pavement", ground(0.10, 0.36, 0.75, 0.08, 0.05), 0.12),
        _built("road_paint", "pavement", paint(0.36, (), ((432, 0.26),)), 0.2),
        _built("roof_concrete", "roof", mineral(0.205, 0.395, 0.05), 0.14),
        _built("roof_tile_red", "roof", ground(0.10, 0.46, 1.15, 0.06, 0.03), 0.14),
        _built("roof_tile_brown", "roof", ground(0.07, 0.30, 0.8, 0.06, 0.03), 0.14),
        _built("roof_slate", "roof", mineral(0.075, 0.115) * (1 + 0.08 * _bump(480, 60)), 0.12),
        _built("roof_bitumen", "roof", mineral(0.05, 0.10), 0.18),
        _built("roof_gravel", "roof", mineral(0.16, 0.30, 0.03), 0.12),
        _built("roof_membrane", "roof", paint(0.36, (), ((432, 0.30),)), 0.16),
        _built("roof_metal_grey", "roof", paint(0.20, (), ((428, 0.12),)) * (1 - 0.15 * _bump(840, 90)), 0.12),
        _built("roof_metal_blue", "roof", paint(0.10, ((460, 45, 0.20),), ((720, 0.18),)), 0.12),
        _built("roof_metal_green", "roof", paint(0.09, ((535, 40, 0.13),), ((730, 0.2),)), 0.12),
        _built("roof_rust", "roof", ground(0.06, 0.34, 1.3, 0.0, 0.0), 0.12),
        _built("solar_panel", "roof", paint(0.045, ((450, 60, 0.03),), ((1080, 0.2),)), 0.06),
        _built("sports_ground", "pavement", paint(0.10, ((540, 35, 0.05),), ((600, 0.10), (740, 0.12))), 0.1),
        _built("car_white", "vehicle", paint(0.38, (), ((432, 0.32),)), 0.05),
        _built("car_dark", "vehicle", paint(0.05), 0.05),
        _built("car_red", "vehicle", paint(0.06, (), ((605, 0.32),)), 0.05),
        _built("car_silver", "vehicle", paint(0.24, (), ((428, 0.09),)), 0.05),
        _built("car_blue", "vehicle", paint(0.07, ((450, 40, 0.18),), ((780, 0.1),)), 0.05),
    )  # fmt: skip


@lru_cache(maxsize=1)
def labels() -> dict[str, int]:
    """Material name -> label."""
    return {material.name: index for index, material in enumerate(library())}


@lru_cache(maxsize=1)
def categories() -> np.ndarray:
    """[materials] uint8: label of a material -> position of its class in :data:`CLASSES`."""
    return np.array([CLASSES.index(material.category) for material in library()], np.uint8)


def band_tables(response: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reflectance and the two shape components of every material as one band sees them.

    Args:
        response: [L] weights at :data:`WAVELENGTHS`: spectral response times solar irradiance.

    Returns:
        three [materials] float32 tables, rounded to 1e-6 so that libraries of other machines give the same.
    """
    weights = response / response.sum()
    curves = [[getattr(m, part) for m in library()] for part in ("reflectance", "first", "second")]
    mean, first, second = (np.round(np.array(part) @ weights, 6).astype(np.float32) for part in curves)
    return mean, first, second
