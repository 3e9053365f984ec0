"""A scene: a place of some 300 m to 8 km with land cover, heights, materials and light, made from a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fusionbench.simulation.buildings import build
from fusionbench.simulation.canvas import Canvas
from fusionbench.simulation.ground import lay_ground, lay_water
from fusionbench.simulation.light import Atmosphere, Sun, cast_shadow, sky_view, slope_light, sun_at
from fusionbench.simulation.materials import categories
from fusionbench.simulation.noise import field, lognormal, stream
from fusionbench.simulation.plants import plant
from fusionbench.simulation.streets import Streets

# seed modulo 4 -> what the two parts of a scene are; training seeds of the data configs never see "wild"
LANDSCAPES = (("farmland", "wild"), ("urban", "suburb"), ("suburb", "farmland"), ("wild", "suburb"))


@dataclass(frozen=True)
class Scene:
    """Everything about a place that a sensor could look at; maps are [N, N] on the scene's grid.

    Args:
        seed: it was made from.
        pixel: m.
        scale: factor on the sizes of things, heights too: above 1 on coarse grids, where no single house would be seen.
        regions: names of its two parts.
        day: of the year it is seen on.
        sun: position of the sun.
        air: the atmosphere.
        first, second: uint8 labels of the two materials of a pixel (positions in ``materials.library()``).
        mix: float32 share of the second.
        bright: float32 factor on the reflectance.
        aged, tinted: float32 shape components of the materials, in standard deviations.
        bilinear: float32 strength of light reflected twice between the two materials, mostly 0.
        block: int32 number of the block between streets; ``uses[block]`` is a key of ``streets.USES``.
        uses: what each block is used for.
        street: bool, carriageways.
        height: float32 m above the ground (nDSM).
        terrain: float32 m, height of the ground.
        relief: float32 m, what tilts surfaces: terrain, roof slopes, crowns.
        shadow: float32 share of direct light taken away, 0..1.
        direct: float32 direct light over that on level sunlit ground.
        sky: float32 share of the sky in view.
        moving: vehicles as (rows, columns, label), at PAN's and at MS's moment.
    """

    seed: int
    pixel: float
    scale: float
    regions: tuple[str, str]
    day: int
    sun: Sun
    air: Atmosphere
    first: np.ndarray
    second: np.ndarray
    mix: np.ndarray
    bright: np.ndarray
    aged: np.ndarray
    tinted: np.ndarray
    bilinear: np.ndarray
    block: np.ndarray
    uses: tuple[str, ...]
    street: np.ndarray
    height: np.ndarray
    terrain: np.ndarray
    relief: np.ndarray
    shadow: np.ndarray
    direct: np.ndarray
    sky: np.ndarray
    moving: list[tuple[tuple[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray, int]]]

    @property
    def classes(self) -> np.ndarray:
        """[N, N] uint8: class of the larger of the two materials (positions in ``materials.CLASSES``)."""
        larger = np.where(self.mix > 0.5, self.second, self.first)
        return categories()[larger]

    def under(self, sun: Sun) -> Scene:
        """The same place with the sun somewhere else: shadows and slopes change."""
        shadow, direct = _sunlight(self.height + self.terrain, self.relief, self.first, self.pixel, self.scale, sun)
        return replace(self, sun=sun, shadow=shadow, direct=direct)


def build_scene(
    seed: int,
    size: int,
    pixel: float,
    displacement: float,
    day: int | None = None,
    regions: tuple[str, str] | None = None,
    scale: float | None = None,
) -> Scene:
    """Make the scene of a seed.

    Args:
        seed: 0 or above; seed modulo 4 chooses the landscapes.
        size: px in one direction, a multiple of 8.
        pixel: m.
        displacement: m, unit of what vehicles drive between two exposures (0.5 to 3 of it): the MS pixel.
        day: of the year; None: drawn from the seed, between day 95 and 290.
        regions: keys of ``streets.REGIONS``; None: seed modulo 4 chooses.
        scale: factor on the sizes of things; None: by the pixel, 1 up to 0.3 m.

    Raises:
        ValueError: a size that is no multiple of 8.
    """
    if size % 8:
        raise ValueError(f"size={size}: a scene has a multiple of 8 pixels")
    rng = stream(seed, "scene")
    regions = LANDSCAPES[seed % 4] if regions is None else regions
    scale = _scale(pixel) if scale is None else scale
    drawn = int(rng.integers(95, 291))
    day = drawn if day is None else day
    sun = sun_at(day, rng.uniform(30, 48), rng.uniform(10.0, 11.2))
    air = Atmosphere(
        round(rng.uniform(0.045, 0.075), 6), round(rng.uniform(2.6, 3.6), 6), round(rng.uniform(0.012, 0.03), 6)
    )
    canvas, streets, terrain = _plan(seed, size, pixel, scale, displacement, regions)
    lay_ground(canvas, stream(seed, "ground"), streets, day)
    for part in (0, 1):
        build(canvas, stream(seed, f"buildings {part}"), part, streets[part])
    lay_water(canvas, stream(seed, "water"), regions)
    for part in (0, 1):
        plant(canvas, stream(seed, f"plants {part}"), part, streets[part])
    return _light(seed, canvas, terrain, day, sun, air, regions)


def _plan(
    seed: int, size: int, pixel: float, scale: float, displacement: float, names: tuple[str, str]
) -> tuple[Canvas, tuple[Streets, Streets], np.ndarray]:
    """Terrain, the two regions, and the street grid of each."""
    rng = stream(seed, "plan")
    half = size * pixel / 2
    axis = ((np.arange(size) + 0.5) * pixel - half).astype(np.float32)
    x, y = axis[None, :], axis[:, None]
    turn = rng.uniform(0, 2 * math.pi)
    wander = field(rng, size, pixel, {half / 2: 0.8, half / 8: 0.25})
    line = np.float32(round(math.cos(turn), 6)) * x + np.float32(round(math.sin(turn), 6)) * y
    region = (line + wander * np.float32(0.22 * half) > np.float32(rng.uniform(0.0, 0.35) * half)).astype(np.uint8)
    bend = (
        field(rng, size, pixel, {170 * scale: 9 * scale}),
        field(rng, size, pixel, {170 * scale: 9 * scale}),
    )
    frame, streets = [], []
    u, v = np.empty((size, size), np.float32), np.empty((size, size), np.float32)
    reach = 1.5 * half + 60 * scale
    for part in (0, 1):
        angle = rng.uniform(0, math.pi)
        cosine, sine = round(math.cos(angle), 6), round(math.sin(angle), 6)
        inside = region == part
        np.copyto(u, np.float32(cosine) * x + np.float32(sine) * y + bend[0], where=inside)
        np.copyto(v, np.float32(-sine) * x + np.float32(cosine) * y + bend[1], where=inside)
        frame.append((cosine, sine))
        streets.append(Streets(stream(seed, f"streets {part}"), names[part], reach, scale))
    low, high = streets[0].region.relief
    relief = rng.uniform(low, high) * scale
    terrain = field(
        rng, size, pixel, {300 * scale: 0.2 * relief, 80 * scale: 0.03 * relief, 25 * scale: 0.006 * relief}
    )
    zero = np.zeros((size, size), np.float32)
    canvas = Canvas(
        pixel=pixel, scale=scale, frame=(frame[0], frame[1]), region=region, bend=bend, u=u, v=v,
        first=np.zeros((size, size), np.uint8), second=np.zeros((size, size), np.uint8), mix=zero,
        bright=_brightness(seed, size, pixel, scale), aged=_component(seed, "aged", size, pixel, scale),
        tinted=_component(seed, "tinted", size, pixel, scale), height=zero.copy(), relief=zero.copy(),
        street=np.zeros((size, size), bool), block=np.zeros((size, size), np.int32), uses=[],
        displacement=displacement, moving=[],
    )  # fmt: skip
    return canvas, (streets[0], streets[1]), terrain


def _brightness(seed: int, size: int, pixel: float, scale: float) -> np.ndarray:
    scales = {24: 0.04, 10: 0.04, 4: 0.06, 1.6: 0.08, 0.6: 0.065, 0.25: 0.075}
    return lognormal(field(stream(seed, "brightness"), size, pixel, {m * scale: a for m, a in scales.items()}))


def _component(seed: int, name: str, size: int, pixel: float, scale: float) -> np.ndarray:
    scales = {20: 0.5, 7: 0.6, 2.5: 0.35, 0.9: 0.15}
    return np.clip(field(stream(seed, name), size, pixel, {m * scale: a for m, a in scales.items()}), -2.5, 2.5)


def _scale(pixel: float) -> float:
    """Factor on the sizes of things: above 1 for sensors that see no single house."""
    return max(1.0, pixel / 0.3) ** 0.85


def _sunlight(
    surface: np.ndarray, relief: np.ndarray, first: np.ndarray, pixel: float, scale: float, sun: Sun
) -> tuple[np.ndarray, np.ndarray]:
    """Share of direct light taken away, and direct light over that on level sunlit ground."""
    shadow = cast_shadow(surface, pixel, sun, 0.4 * scale)
    direct = slope_light(relief, pixel, sun)
    direct[categories()[first] == 0] = 1  # water is level
    direct *= np.float32(1) - shadow
    return shadow, direct


def _light(
    seed: int, canvas: Canvas, terrain: np.ndarray, day: int, sun: Sun, air: Atmosphere, regions: tuple[str, str]
) -> Scene:
    surface = canvas.height + terrain
    canvas.relief += terrain
    shadow, direct = _sunlight(surface, canvas.relief, canvas.first, canvas.pixel, canvas.scale, sun)
    sky = sky_view(surface, canvas.pixel, 12 * canvas.scale)
    # light goes to and fro where two materials interlock: canopies over soil, crops in rows
    interlocked = canvas.mix * (np.float32(1) - canvas.mix) * np.float32(4)
    bilinear = np.where(
        (canvas.first != canvas.second) & (interlocked > 0.96), interlocked * np.float32(0.5), np.float32(0)
    )
    return Scene(
        seed=seed, pixel=canvas.pixel, scale=canvas.scale, regions=regions, day=day, sun=sun, air=air,
        first=canvas.first, second=canvas.second, mix=canvas.mix, bright=canvas.bright, aged=canvas.aged,
        tinted=canvas.tinted,
        bilinear=bilinear, block=canvas.block, uses=tuple(canvas.uses), street=canvas.street, height=canvas.height,
        terrain=terrain, relief=canvas.relief, shadow=shadow, direct=direct, sky=sky,
        moving=canvas.moving,
    )  # fmt: skip
