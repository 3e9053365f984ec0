"""GeoTIFF and other rasters, by windowed reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.data.readers.image import Window, missing_pixels
from fusionbench.errors import DataError

EXTENT_TOLERANCE = 0.5  # of an MS pixel


def _open(path: Path) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except RasterioIOError as error:
        raise DataError(f"{path}: not a readable raster ({error})") from error


@dataclass(frozen=True)
class RasterImage:
    """A raster file as an image [C, H, W]; opened for each read, so that any process may read it.

    Args:
        path: any format GDAL reads.
        nodata: value that marks missing pixels, beside the file's own no-data value, mask or alpha band.
    """

    path: Path
    nodata: float | None = None

    @cached_property
    def _facts(self) -> dict[str, Any]:
        with _open(self.path) as file:
            alpha = [i for i, kind in enumerate(file.colorinterp, start=1) if kind.name == "alpha"]
            return {
                "bands": [i for i in file.indexes if i not in alpha],
                "alpha": alpha,
                "size": (file.height, file.width),
                "dtype": np.dtype(file.dtypes[0]),
                "crs": file.crs,
                "transform": file.transform,
            }

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        return len(self._facts["bands"]), *self._facts["size"]

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored numbers."""
        return self._facts["dtype"]

    @property
    def crs(self) -> Any:
        """Coordinate reference system, or None."""
        return self._facts["crs"]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Upper left x and y, lower right x and y, in units of the reference system."""
        transform, (rows, columns) = self._facts["transform"], self._facts["size"]
        return (*(transform * (0, 0)), *(transform * (columns, rows)))

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Values and valid pixels of a window."""
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window as RasterWindow

        place = RasterWindow(window.left, window.top, *reversed(window.shape))
        try:
            with _open(self.path) as file:
                values = file.read(self._facts["bands"], window=place)
                masks = [*file.read_masks(self._facts["bands"], window=place)]
                # GDAL makes a mask of an alpha band beside one or three others only
                masks += [*file.read(self._facts["alpha"], window=place)] if self._facts["alpha"] else []
        except RasterioIOError as error:
            raise DataError(f"{self.path}: cannot be read ({error}); truncated?") from error
        valid, mask = missing_pixels(values, self.nodata), np.all([part != 0 for part in masks], axis=0)
        if mask.all():
            return values, valid
        return values, mask if valid is None else mask & valid


def check_georeference(name: str, ms: RasterImage, pan: RasterImage) -> None:
    """Refuse PAN and MS that lie in different places; images without a reference system are taken as they are.

    Raises:
        DataError: different reference systems, or extents that differ by more than half an MS pixel.
    """
    if ms.crs is None or pan.crs is None:
        return
    if ms.crs != pan.crs:
        raise DataError(
            f"scene {name}: MS is in {ms.crs} ({ms.path}), PAN in {pan.crs} ({pan.path}); "
            "warp one of them to the other's reference system first"
        )
    pixel_x = abs(ms.extent[2] - ms.extent[0]) / ms.shape[2]
    pixel_y = abs(ms.extent[3] - ms.extent[1]) / ms.shape[1]
    steps = (pixel_x, pixel_y, pixel_x, pixel_y)
    off = [abs(a - b) / step for a, b, step in zip(ms.extent, pan.extent, steps, strict=True)]
    if max(off) > EXTENT_TOLERANCE:
        raise DataError(
            f"scene {name}: MS and PAN do not cover the same area (corners up to {max(off):.2f} MS pixels apart): "
            f"MS {_corners(ms)} ({ms.path}), PAN {_corners(pan)} ({pan.path}); crop both to their common extent"
        )


def _corners(image: RasterImage) -> str:
    left, top, right, bottom = image.extent
    return f"({left:.8g}, {top:.8g}) to ({right:.8g}, {bottom:.8g})"
