"""Towns in folders: an image, points of interest, places with their use, and series of activity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from fusionbench.errors import DataError
from fusionbench.imaging.distance import distance_maps

IMAGE, POINTS, PLACES, SERIES = "image.tif", "poi.csv", "places.csv", "activity.csv"


@dataclass(frozen=True)
class TownFiles:
    """A town's folder and what is read of it.

    Args:
        folder: with ``image.tif``, ``poi.csv``, ``places.csv``, and ``activity.csv`` where series are asked for.
        bands: of the image that are read, the first ones.
        kinds: of points of interest.
        steps: of the series; 0: there are none.
        uses: K.
        patch: px, side of a place's window.
    """

    folder: Path
    bands: int
    kinds: int
    steps: int
    uses: int
    patch: int


def read_town(town: TownFiles) -> dict[str, np.ndarray]:
    """Places of a town.

    Returns:
        ``image`` [n,C,p,p] float32 digital numbers, ``poi`` [n,M,p,p] float32 map units to the nearest point of each
        kind, ``activity`` [n,T] float32 where there are series, ``label`` [n] int64, ``position`` [n,2] int64: row and
        column of the middle, px. Windows that would reach beyond the image are moved inside.

    Raises:
        DataError: files that are absent, unreadable, or do not fit each other.
    """
    places = _table(town.folder / PLACES, ("x", "y", "use"))
    points = _table(town.folder / POINTS, ("x", "y", "kind"))
    image, to_pixel, pixel = _image(town)
    size = (image.shape[1], image.shape[2])
    label = _whole(places[:, 2], town.uses, town.folder / PLACES, "use")
    kinds = _whole(points[:, 2], town.kinds, town.folder / POINTS, "kind")
    rows, columns = _pixels(to_pixel, places)
    outside = np.flatnonzero((rows < 0) | (rows >= size[0]) | (columns < 0) | (columns >= size[1]))
    if len(outside):
        x, y = places[outside[0], :2]
        raise DataError(f"{town.folder / PLACES}: place {outside[0] + 1} ({x:g}, {y:g}) lies outside of {IMAGE}")
    maps = distance_maps(*_pixels(to_pixel, points), kinds, town.kinds, size, pixel)
    middles = np.column_stack([rows, columns]).astype(np.int64)
    corners = np.clip(middles - town.patch // 2, 0, np.array(size) - town.patch)
    cut = [(slice(None), slice(r, r + town.patch), slice(c, c + town.patch)) for r, c in corners]
    found = {
        "image": np.stack([image[one] for one in cut]),
        "poi": np.stack([maps[one] for one in cut]),
        "label": label,
        "position": middles,
    }
    if town.steps:
        found["activity"] = _series(town, len(places))
    return found


def _image(town: TownFiles) -> tuple[np.ndarray, rasterio.Affine, float]:
    """The first bands [C,H,W] float32, from map to pixel, and the pixel in map units."""
    path = town.folder / IMAGE
    try:
        with rasterio.open(path) as file:
            if file.count < town.bands:
                raise DataError(f"{path}: {file.count} bands, {town.bands} are read")
            if min(file.height, file.width) < town.patch:
                raise DataError(f"{path}: {file.height} x {file.width} px, smaller than a window of {town.patch} px")
            image = file.read(list(range(1, town.bands + 1))).astype(np.float32)
            transform = file.transform
    except rasterio.errors.RasterioError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not np.isfinite(image).all():
        raise DataError(f"{path}: it holds values that are not finite")
    return image, ~transform, float(np.sqrt(abs(transform.determinant)))


def _pixels(to_pixel: rasterio.Affine, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = table[:, 0], table[:, 1]
    columns = to_pixel.a * x + to_pixel.b * y + to_pixel.c
    return to_pixel.d * x + to_pixel.e * y + to_pixel.f, columns


def _table(path: Path, names: tuple[str, ...]) -> np.ndarray:
    """Columns of a comma-separated file with a header [n,len(names)] float64."""
    try:
        header = path.read_text(encoding="utf-8-sig").split("\n", 1)[0].strip().split(",")
        absent = [name for name in names if name not in header]
        if absent:
            raise DataError(f"{path}: no column {absent[0]}; the first line names {', '.join(names)}")
        columns = [header.index(name) for name in names]
        values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a table of numbers ({error})") from error
    if not len(values) or not np.isfinite(values).all():
        raise DataError(f"{path}: it is empty, or holds values that are not finite")
    return values


def _whole(values: np.ndarray, count: int, path: Path, name: str) -> np.ndarray:
    found = values.astype(np.int64)
    if (found != values).any() or found.min() < 0 or found.max() >= count:
        raise DataError(f"{path}: {name} is a whole number from 0 to {count - 1}")
    return found


def _series(town: TownFiles, places: int) -> np.ndarray:
    path = town.folder / SERIES
    try:
        values = np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a table of numbers ({error})") from error
    if values.shape != (places, town.steps) or not np.isfinite(values).all():
        raise DataError(
            f"{path}: {values.shape[0]} x {values.shape[1]} numbers; one line per place of {PLACES} ({places}) with "
            f"{town.steps} finite numbers"
        )
    return values.astype(np.float32)
