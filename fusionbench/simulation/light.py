"""Sun and sky over a scene: cast shadows, sloping surfaces, and what the atmosphere adds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sun:
    """Direction of the sun.

    Args:
        east, north, up: unit vector towards the sun, rounded to 1e-6.
        elevation: degrees.
        azimuth: degrees, clockwise from north.
    """

    east: float
    north: float
    up: float
    elevation: float
    azimuth: float


def sun_at(day: int, latitude: float, hour: float) -> Sun:
    """The sun's direction (declination by Cooper's formula, Solar Energy 12, 1969).

    Args:
        day: of the year, 1..365.
        latitude: degrees north.
        hour: local solar time; 12 is noon.
    """
    declination = math.radians(23.45 * math.sin(2 * math.pi * (284 + day) / 365))
    place, turn = math.radians(latitude), math.radians(15 * (hour - 12))
    east = -math.cos(declination) * math.sin(turn)
    north = math.cos(place) * math.sin(declination) - math.sin(place) * math.cos(declination) * math.cos(turn)
    up = math.sin(place) * math.sin(declination) + math.cos(place) * math.cos(declination) * math.cos(turn)
    elevation, azimuth = math.degrees(math.asin(up)), math.degrees(math.atan2(east, north)) % 360
    return Sun(round(east, 6), round(north, 6), round(up, 6), round(elevation, 3), round(azimuth, 3))


def cast_shadow(height: np.ndarray, pixel: float, sun: Sun, softness: float) -> np.ndarray:
    """Share of each pixel's direct light that something taller takes away.

    Args:
        height: [N, N] m, of the surface.
        pixel: m.
        sun: where the light comes from.
        softness: m by which the shadow's plane must lie above a surface for full shadow.

    Returns:
        [N, N] float32, 0 (sunlit) to 1.
    """
    level = math.hypot(sun.east, sun.north)
    column_step, row_step = sun.east / level, -sun.north / level  # one pixel towards the sun
    drop = sun.up / level * pixel
    tallest = float(height.max() - height.min())
    plane = height.astype(np.float32)
    reach = 1
    while True:
        rows, columns = round(row_step * reach), round(column_step * reach)
        shifted = _moved(plane, rows, columns)
        shifted -= np.float32(drop * math.hypot(rows, columns))
        np.maximum(plane, shifted, out=plane)
        if reach * drop > tallest or reach > height.shape[0]:
            break
        reach *= 2
    plane -= height
    plane *= np.float32(1 / softness)
    return np.clip(plane, 0, 1, out=plane)


def _moved(field: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """``field`` read ``rows``, ``columns`` further on, its edge repeated."""
    size_r, size_c = field.shape
    out = np.empty_like(field)
    r0, r1 = max(0, -rows), min(size_r, size_r - rows)
    c0, c1 = max(0, -columns), min(size_c, size_c - columns)
    if r0 >= r1 or c0 >= c1:
        out[:] = field
        return out
    out[r0:r1, c0:c1] = field[r0 + rows : r1 + rows, c0 + columns : c1 + columns]
    out[:r0] = out[r0]
    out[r1:] = out[r1 - 1]
    out[:, :c0] = out[:, c0 : c0 + 1]
    out[:, c1:] = out[:, c1 - 1 : c1]
    return out


def slope_light(relief: np.ndarray, pixel: float, sun: Sun, steepest: float = 1.3) -> np.ndarray:
    """Direct light on a tilted surface over that on level ground.

    Args:
        relief: [N, N] m.
        pixel: m.
        sun: where the light comes from.
        steepest: slopes are cut here, rise over run.

    Returns:
        [N, N] float32, 0 or more, 1 on level ground.
    """
    down = np.empty_like(relief)
    right = np.empty_like(relief)
    down[1:-1] = relief[2:] - relief[:-2]
    right[:, 1:-1] = relief[:, 2:] - relief[:, :-2]
    down[0], down[-1], right[:, 0], right[:, -1] = down[1], down[-2], right[:, 1], right[:, -2]
    scale = np.float32(0.5 / pixel)
    for slope in (down, right):
        slope *= scale
        np.clip(slope, -steepest, steepest, out=slope)
    lit = np.float32(sun.up) - np.float32(sun.east) * right + np.float32(sun.north) * down
    lit /= np.sqrt(np.float32(1) + right * right + down * down)
    lit *= np.float32(1 / sun.up)
    return np.maximum(lit, 0, out=lit)


def sky_view(height: np.ndarray, pixel: float, reach: float) -> np.ndarray:
    """Share of the sky that a surface sees, from how far its surroundings rise above it.

    Args:
        height: [N, N] m; N a multiple of 8.
        pixel: m.
        reach: m, how far off surroundings count.

    Returns:
        [N, N] float32, 0.45 to 1.
    """
    size = height.shape[0] // 8
    coarse = height.reshape(size, 8, size, 8).mean((1, 3), dtype=np.float64)
    steps = max(1, round(reach / (8 * pixel)))
    for _ in range(2):
        for axis in (0, 1):
            padded = np.pad(coarse, [(steps, steps) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            total = np.zeros_like(coarse)
            for offset in range(2 * steps + 1):
                total += padded.take(range(offset, offset + size), axis)
            coarse = total / (2 * steps + 1)
    around = np.repeat(np.repeat(coarse.astype(np.float32), 8, 0), 8, 1)
    blocked = (around - height) * np.float32(0.6 / reach)
    return np.clip(np.float32(1) - blocked, np.float32(0.45), np.float32(1))


@dataclass(frozen=True)
class Atmosphere:
    """Clear air with haze.

    Args:
        haze: path reflectance of molecules and fine aerosol at 450 nm.
        steepness: exponent of its fall with wavelength.
        veil: path reflectance at all wavelengths: coarse aerosol, and light scattered in from the surroundings.
    """

    haze: float
    steepness: float
    veil: float

    def path(self, wavelength: np.ndarray) -> np.ndarray:
        """Reflectance that the air adds, at wavelengths in nm."""
        return self.haze * (450.0 / wavelength) ** self.steepness + self.veil

    def transmittance(self, wavelength: np.ndarray) -> np.ndarray:
        """Two-way transmittance at wavelengths in nm, with the oxygen and water bands near 760 and 940 nm."""
        clear = 0.95 - 0.17 * (450.0 / wavelength) ** 2.5
        dips = 0.06 * np.exp(-0.5 * ((wavelength - 762) / 4) ** 2) + 0.25 * np.exp(
            -0.5 * ((wavelength - 940) / 22) ** 2
        )
        return clear * (1 - dips)

    def diffuse(self, wavelength: np.ndarray) -> np.ndarray:
        """Share of the light on level ground that comes from the sky."""
        return 0.07 + 0.15 * (450.0 / wavelength) ** 2.2


def solar_irradiance(wavelength: np.ndarray) -> np.ndarray:
    """Sunlight above the air, relative: a black body of 5778 K at wavelengths in nm (Planck)."""
    metres = wavelength * 1e-9
    return (wavelength / 500.0) ** -5 / np.expm1(1.438777e-2 / (metres * 5778.0))
