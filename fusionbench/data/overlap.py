"""Do two sets of images share ground? Hashes of 32x32 tiles of the raw pixels, at any offset. Torch-free.

Tiles are taken on a grid on one side and at every offset on the other, by a polynomial hash (modulo 2^64) built by
doubling: a window of 2k is two windows of k. A match of hashes is confirmed on the pixels: there are no false alarms.
Any shared area that holds one whole tile of the first side's grid is found: always from 63x63 px on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

TILE = 32
STRIP = 2048  # rows hashed at a time
_ACROSS, _DOWN, _BANDS = (np.uint64(v) for v in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))


@dataclass(frozen=True)
class Overlap:
    """A tile that stands in an image of both sets; rows and columns of its upper left corner."""

    first: str
    first_at: tuple[int, int]
    second: str
    second_at: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.first} at {self.first_at} = {self.second} at {self.second_at}"


def _plane(image: np.ndarray) -> np.ndarray:
    """An image [C, H, W] as one plane of 64-bit words that keeps every band's every bit."""
    total = np.zeros(image.shape[-2:], np.uint64)
    weight = np.uint64(1)
    with np.errstate(over="ignore"):
        for band in image:
            if band.dtype.kind == "f":
                words = np.ascontiguousarray(band, np.float64).view(np.uint64)
            else:
                words = band.astype(np.uint64)
            total += words * weight
            weight = np.uint64(weight * _BANDS)
    return total


def rolling_hash(image: np.ndarray, tile: int = TILE) -> np.ndarray:
    """Hash of every tile of an image [C, H, W]: [H - tile + 1, W - tile + 1] uint64; `tile` is a power of two."""
    values = _plane(image)
    for axis, base in ((1, _ACROSS), (0, _DOWN)):
        size, factor = 1, base
        while size < tile:
            count = values.shape[axis] - size
            near = values.take(range(count), axis) if axis == 0 else values[:, :count]
            far = values[size:] if axis == 0 else values[:, size:]
            with np.errstate(over="ignore"):
                values = near + far * factor
                factor = np.uint64(factor * factor)
            size *= 2
    return values


def _strips(image: np.ndarray, tile: int) -> Iterable[tuple[int, np.ndarray]]:
    for top in range(0, max(image.shape[1] - tile + 1, 0), STRIP):
        yield top, np.asarray(image[:, top : top + STRIP + tile - 1])


def find_overlap(
    first: Sequence[tuple[str, np.ndarray]], second: Iterable[tuple[str, np.ndarray]], tile: int = TILE, most: int = 10
) -> list[Overlap]:
    """Tiles that stand in an image of both sets.

    Args:
        first: name and image [C, H, W]; tiles on its grid are looked for. The smaller set, for speed.
        second: name and image; every offset is looked at.
        tile: side in pixels, a power of two.
        most: stop after so many.

    Returns:
        Overlaps, at most one per tile of `first`. Tiles of one value (no data, saturation) do not count.
    """
    hashes, places = [], []
    for number, (_, image) in enumerate(first):
        for top in range(0, image.shape[1] - tile + 1, tile):
            row = np.asarray(image[:, top : top + tile])
            row = row[:, :, : row.shape[2] // tile * tile]
            if row.shape[2] == 0:
                continue
            varied = (
                row.reshape(row.shape[0], tile, -1, tile).max((1, 3))
                != row.reshape(row.shape[0], tile, -1, tile).min((1, 3))
            ).any(0)
            values = rolling_hash(row, tile)[0, ::tile]
            hashes.append(values[varied])
            places += [(number, top, int(column) * tile) for column in np.flatnonzero(varied)]
    if not places:
        return []
    known = np.concatenate(hashes)
    order = np.argsort(known)
    known = known[order]
    found: dict[tuple[int, int, int], Overlap] = {}
    for name, image in second:
        for top, strip in _strips(image, tile):
            values = rolling_hash(strip, tile)
            at = np.searchsorted(known, values)
            hits = np.argwhere(known[np.minimum(at, len(known) - 1)] == values)
            for row, column in hits:
                place = places[order[at[row, column]]]
                other = first[place[0]]
                mine = np.asarray(other[1][:, place[1] : place[1] + tile, place[2] : place[2] + tile])
                if place not in found and np.array_equal(mine, strip[:, row : row + tile, column : column + tile]):
                    found[place] = Overlap(other[0], place[1:], name, (int(top + row), int(column)))
                    if len(found) >= most:
                        return list(found.values())
    return list(found.values())
