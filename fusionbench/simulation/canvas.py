"""The maps a scene is painted on, and how shapes given in street coordinates get there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fusionbench.simulation.materials import labels


@dataclass
class Canvas:
    """Maps of a scene while it is painted; all [size, size].

    Args:
        pixel: m.
        scale: factor on the sizes of things.
        frame: (cosine, sine) of each region's street direction.
        region: uint8, 0 or 1.
        bend: two float32 maps, m: how far streets stray from the straight grid.
        u, v: float32 street coordinates, m, each pixel in its own region's frame.
        first, second: uint8 labels of the two materials of a pixel.
        mix: float32 share of the second, 0..1.
        bright: float32 factor on the reflectance.
        aged, tinted: float32 shape components, in standard deviations.
        height: float32 m above the ground.
        relief: float32 m, what tilts the surface: roof slopes, crowns.
        street: bool, carriageways.
        block: int32 number of the block a pixel belongs to, unique in a scene; ``uses`` says what it is used for.
        uses: keys of ``streets.USES``, one per block.
        displacement: m, the MS pixel: unit of what vehicles drive between the two exposures.
        moving: vehicles that drive between the two exposures: (rows, columns, material) at PAN's, then at MS's moment.
    """

    pixel: float
    scale: float
    frame: tuple[tuple[float, float], tuple[float, float]]
    region: np.ndarray
    bend: tuple[np.ndarray, np.ndarray]
    u: np.ndarray
    v: np.ndarray
    first: np.ndarray
    second: np.ndarray
    mix: np.ndarray
    bright: np.ndarray
    aged: np.ndarray
    tinted: np.ndarray
    height: np.ndarray
    relief: np.ndarray
    street: np.ndarray
    block: np.ndarray
    uses: list[str]
    displacement: float
    moving: list[tuple[tuple[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray, int]]]

    @property
    def size(self) -> int:
        """Pixels in one direction."""
        return int(self.first.shape[0])

    def position(self, region: int, u: float, v: float) -> tuple[int, int] | None:
        """Row and column of a point in a region's street coordinates; None outside of the scene or the region."""
        cosine, sine = self.frame[region]
        half, last = self.size * self.pixel / 2, self.size - 1
        shift_u = shift_v = 0.0
        row = column = 0
        for _ in range(3):
            a, b = u - shift_u, v - shift_v
            column = math.floor((cosine * a - sine * b + half) / self.pixel)
            row = math.floor((sine * a + cosine * b + half) / self.pixel)
            near = min(max(row, 0), last), min(max(column, 0), last)
            shift_u, shift_v = float(self.bend[0][near]), float(self.bend[1][near])
        if not (0 <= row <= last and 0 <= column <= last) or self.region[row, column] != region:
            return None
        return row, column

    def around(self, row: int, column: int, radius: float) -> tuple[slice, slice]:
        """The window of ``radius`` m around a pixel, cut to the scene."""
        reach = int(radius / self.pixel) + 2
        return slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)

    def rectangle(
        self, region: int, u: float, v: float, a: float, b: float
    ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray] | None:
        """A window around a rectangle of half sides a (along u) and b (along v), m.

        Returns:
            the window and its float32 maps of u and v relative to the centre; None where the centre is outside.
        """
        place = self.position(region, u, v)
        if place is None:
            return None
        window = self.around(*place, 1.1 * math.hypot(a, b) + self.pixel)
        du, dv = self.u[window] - np.float32(u), self.v[window] - np.float32(v)
        du[self.region[window] != region] = np.inf  # these pixels are in the other region's frame
        return window, du, dv

    def fill(self, window: tuple[slice, slice], mask: np.ndarray, material: str, bright: float = 1.0) -> None:
        """Cover the masked pixels of a window with one material; its height above the ground becomes 0."""
        label = labels()[material]
        self.first[window][mask] = label
        self.second[window][mask] = label
        self.bright[window][mask] *= np.float32(bright)
        self.height[window][mask] = 0
        self.relief[window][mask] = 0

    def fill_roof(self, window: tuple[slice, slice], mask: np.ndarray, material: str) -> None:
        """Change the material of masked pixels and keep their height and slope."""
        label = labels()[material]
        self.first[window][mask] = label
        self.second[window][mask] = label

    def raise_(self, window: tuple[slice, slice], mask: np.ndarray, height: np.ndarray | float) -> None:
        """Set the height above the ground of masked pixels, m: one value, or one per pixel of the window."""
        self.height[window][mask] = height[mask] if isinstance(height, np.ndarray) else np.float32(height)

    def is_one_of(self, row: int, column: int, allowed: np.ndarray) -> bool:
        """Whether the first material at a pixel is among ``allowed``, a bool table over labels."""
        return bool(allowed[self.first[row, column]])
