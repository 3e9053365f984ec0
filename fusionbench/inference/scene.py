"""A PAN / MS pair of raster files, read window by window on one common lattice."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fusionbench.errors import DataError, DataNotFoundError
from fusionbench.imaging.shift import shift
from fusionbench.imaging.tiling import mirror
from fusionbench.inference.alignment import Alignment, Axis, align

# no-data pixels are filled from the valid ones this near (MS px), else by the band's mean
FILL_RADIUS = 4
# MS px that the sub-pixel shift looks at
SHIFT_REACH = 16


@dataclass
class Tensors:
    """A window of a pair: lr [B,h,w] and guide [G,H,W] in digital numbers, and which pixels are valid, [1,.,.] bool."""

    lr: Tensor
    guide: Tensor
    valid_lr: Tensor
    valid: Tensor


class Raster:
    """One input file: checked when opened, read on the mirrored continuation of a region.

    Raises:
        DataNotFoundError: no such file.
        DataError: not a raster that can be read, or another number of bands.
    """

    def __init__(self, path: Path, role: str, bands: int) -> None:
        self.path = path
        if not path.is_file():
            raise DataNotFoundError(f"inputs.{role}: no file {path}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                self.dataset: DatasetReader = rasterio.open(path)
        except RasterioError as error:
            raise DataError(f"inputs.{role}: {path} is not a raster that GDAL can read: {error}") from error
        if self.dataset.count != bands:
            count = self.dataset.count
            self.dataset.close()
            raise DataError(f"inputs.{role}: {path} has {count} bands, the method takes {bands}")
        self.may_be_invalid = self.dataset.dtypes[0].startswith("float") or any(
            MaskFlags.all_valid not in flags for flags in self.dataset.mask_flag_enums
        )
        self._means: Tensor | None = None

    @property
    def transform(self) -> Affine | None:
        """Pixel to map; None without georeference."""
        return None if self.dataset.transform.is_identity else self.dataset.transform

    @property
    def size(self) -> tuple[int, int]:
        return self.dataset.height, self.dataset.width

    def read(self, rows: tuple[int, int, int, int], columns: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
        """Values [B,n,m] float32 and valid [1,n,m] of positions (from, to), mirrored about a region (first, last).

        ``rows`` and ``columns`` are (from, to, first, last) in this file's pixels.
        """
        down, across = (low + mirror(start - low, stop - low, high - low) for start, stop, low, high in (rows, columns))
        top, left = int(down.min()), int(across.min())
        window = Window(left, top, int(across.max()) + 1 - left, int(down.max()) + 1 - top)
        try:
            values = self.dataset.read(window=window)
            masks = self.dataset.read_masks(window=window) if self.may_be_invalid else None
        except RasterioError as error:
            raise DataError(f"{self.path} cannot be read at {window}: the file may be truncated ({error})") from error
        valid = torch.ones(1, *values.shape[1:], dtype=torch.bool)
        if masks is not None:
            valid &= torch.from_numpy((masks != 0).all(axis=0) & np.isfinite(values).all(axis=0))
        tensor = torch.from_numpy(values.astype(np.float32))
        index = (slice(None), (down - top)[:, None], (across - left)[None, :])
        return tensor[index], valid[index]

    def means(self) -> Tensor:
        """Mean of each band's valid pixels on a thinned read of at most 512 x 512 px; [B,1,1] float32."""
        if self._means is None:
            shape = tuple(min(512, side) for side in self.size)
            thinned = self.dataset.read(out_shape=(self.dataset.count, *shape), masked=True).astype(np.float64)
            thinned = np.ma.masked_invalid(thinned)
            means = thinned.mean(axis=(1, 2)).filled(0.0) if thinned.count() else np.zeros(self.dataset.count)
            self._means = torch.from_numpy(np.asarray(means, np.float32))[:, None, None]
        return self._means


class Scene:
    """A PAN / MS pair, aligned; its windows are asked for in output pixels.

    Args:
        inputs: files by role (lr, guide).
        channels: bands by role.
        ratio: MS pixel size over PAN pixel size.
        grid: pixel grid that the method expects, area | dlpan.
        ungeoreferenced: grid of a pair without georeference.

    Raises:
        DataError: what keeps the two files from being one pair (see ``align``), or different CRS.
    """

    def __init__(
        self,
        inputs: Mapping[str, Path],
        channels: Mapping[str, int],
        ratio: int,
        grid: str,
        *,
        ungeoreferenced: str = "area",
    ) -> None:
        self.ratio = ratio
        with ExitStack() as stack:
            self.ms = Raster(inputs["lr"], "lr", channels["lr"])
            stack.callback(self.ms.dataset.close)
            self.pan = Raster(inputs["guide"], "guide", channels["guide"])
            stack.callback(self.pan.dataset.close)
            self.alignment = self._align(grid, ungeoreferenced)
            self._close = stack.pop_all()

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.close()

    def _align(self, grid: str, ungeoreferenced: str) -> Alignment:
        ms, pan = self.ms.dataset, self.pan.dataset
        if ms.crs is not None and pan.crs is not None and ms.crs != pan.crs:
            raise DataError(
                f"{self.ms.path} is in {ms.crs.to_string()}, {self.pan.path} in {pan.crs.to_string()}: "
                "warp one of them to the other's CRS first"
            )
        return align(
            self.ms.transform,
            self.pan.transform,
            self.ms.size,
            self.pan.size,
            self.ratio,
            grid,
            ungeoreferenced=ungeoreferenced,
            names=(str(self.ms.path), str(self.pan.path)),
        )

    @property
    def height(self) -> int:
        return self.alignment.rows.stop - self.alignment.rows.start

    @property
    def width(self) -> int:
        return self.alignment.columns.stop - self.alignment.columns.start

    @property
    def offset(self) -> tuple[int, int]:
        """Lattice position (row, column) of the first fused pixel: less than the ratio."""
        rows, columns = self.alignment.rows, self.alignment.columns
        return rows.start - lattice_zero(rows, self.ratio), columns.start - lattice_zero(columns, self.ratio)

    @property
    def may_be_invalid(self) -> bool:
        return self.ms.may_be_invalid or self.pan.may_be_invalid

    @property
    def reach(self) -> int:
        """PAN px around a window that its own preparation (filling, shifting) looks at."""
        rows, columns = self.alignment.rows, self.alignment.columns
        moved = SHIFT_REACH if rows.shift or columns.shift else 0
        return self.ratio * (moved + (FILL_RADIUS if self.may_be_invalid else 0))

    def profile(self) -> dict[str, Any]:
        """CRS and transform of the fused region (PAN's, else derived from the MS's)."""
        rows, columns = self.alignment.rows, self.alignment.columns
        transform = self.pan.transform
        if transform is None and self.ms.transform is not None:
            transform = self.ms.transform * Affine.scale(1 / self.ratio)
        crs = self.pan.dataset.crs if self.pan.dataset.crs is not None else self.ms.dataset.crs
        if transform is None:
            return {"crs": crs}
        return {"crs": crs, "transform": transform * Affine.translation(columns.start, rows.start)}

    def window(self, top: int, bottom: int, left: int, right: int) -> Tensors:
        """The pair over lattice positions [top, bottom) x [left, right), multiples of the ratio, in PAN pixels.

        Position 0 is where MS pixel ``first`` begins (see ``Axis``); positions outside the region are mirrored.
        """
        extra, ratio = self.reach, self.ratio
        of_pan, of_ms = [], []
        for axis, start, stop in ((self.alignment.rows, top, bottom), (self.alignment.columns, left, right)):
            zero = lattice_zero(axis, ratio)
            of_pan.append((zero + start - extra, zero + stop + extra, axis.start, axis.stop))
            thin_start, thin_stop = (start - extra) // ratio, (stop + extra) // ratio
            of_ms.append((axis.first + thin_start, axis.first + thin_stop, axis.first, axis.last))
        pan, ms = self.pan.read(*of_pan), self.ms.read(*of_ms)
        lr = fill(*ms, FILL_RADIUS, self.ms)
        guide = fill(*pan, FILL_RADIUS * ratio, self.pan)
        rows, columns = self.alignment.rows, self.alignment.columns
        if rows.shift or columns.shift:
            lr = shift(lr, rows.shift / ratio, columns.shift / ratio)
        inner, thin = slice(extra, -extra or None), slice(extra // ratio, -(extra // ratio) or None)
        return Tensors(
            lr[:, thin, thin].contiguous(),
            guide[:, inner, inner].contiguous(),
            ms[1][:, thin, thin],
            pan[1][:, inner, inner],
        )


def lattice_zero(axis: Axis, ratio: int) -> int:
    """PAN pixel at which MS pixel ``first`` begins."""
    return axis.origin + ratio * axis.first


def fill(values: Tensor, valid: Tensor, radius: int, raster: Raster) -> Tensor:
    """Invalid pixels replaced by the mean of the valid ones within ``radius``, else by the scene's band mean."""
    if bool(valid.all()):
        return values
    total = box_mean(torch.where(valid, values, torch.zeros(())), radius)
    share = box_mean(valid.to(values.dtype), radius)
    local = torch.where(share > 0, total / torch.where(share > 0, share, 1.0), raster.means())
    return torch.where(valid, values, local)


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over squares of 2 radius + 1 px, zeros beyond the window: [C,H,W] -> [C,H,W]."""
    side = 2 * radius + 1
    return avg_pool2d(avg_pool2d(x, (side, 1), 1, (radius, 0)), (1, side), 1, (0, radius))
