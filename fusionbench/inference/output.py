"""A fused image written window by window, under a temporary name until it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from fusionbench.errors import ConfigError, UserError

DTYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
BLOCK = 256


def check_output(out: Path, inputs: Sequence[Path], dtype: str, nbytes: int) -> None:
    """Refuse, before anything is computed, an output that cannot be written.

    Raises:
        ConfigError: the output is one of the inputs, a folder, or of a type that is not offered.
        UserError: its folder cannot be written, or has no room for ``nbytes``.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype={dtype} cannot be written; choose one of {', '.join(DTYPES)}")
    if out.resolve() in {path.resolve() for path in inputs}:
        raise ConfigError(f"out={out} is one of the inputs; give the fused image another name")
    if out.is_dir():
        raise ConfigError(f"out={out} is a folder; give a file name such as {out / 'fused.tif'}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"out={out}: the folder cannot be written ({error.strerror})") from error
    free = shutil.disk_usage(out.parent).free
    if free < nbytes:
        raise UserError(
            f"out={out}: up to {nbytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free in {out.parent}"
        )


@contextmanager
def fused_image(
    out: Path, bands: int, height: int, width: int, dtype: str, *, cog: bool, compress: str, **profile: Any
) -> Iterator[DatasetWriter]:
    """A tiled GeoTIFF open for writing; it gets its name (as a COG if asked for) when the block ends without an error.

    Raises:
        UserError: the file cannot be written, for instance because the disk is full.
    """
    blocks = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK} if min(height, width) >= BLOCK else {}
    options = {"compress": compress, "BIGTIFF": "IF_SAFER", **blocks, **profile}
    if compress in ("deflate", "zstd", "lzw"):
        options["predictor"] = 3 if dtype.startswith("float") else 2
    # another file name ending: an interrupted run leaves nothing that looks like a result
    partial, packed = (out.with_name(f".{out.name}.{os.getpid()}.{kind}") for kind in ("partial", "cog"))
    try:
        try:
            with rasterio.open(
                partial, "w", driver="GTiff", count=bands, height=height, width=width, dtype=dtype, **options
            ) as target:
                yield target
            if cog:
                rasterio.shutil.copy(partial, packed, driver="COG", compress=compress, BIGTIFF="IF_SAFER")
                os.replace(packed, out)
            else:
                os.replace(partial, out)
        except (RasterioError, OSError) as error:
            raise UserError(f"out={out} cannot be written: {error}") from error
    finally:
        for path in (partial, packed):
            path.unlink(missing_ok=True)


def to_dtype(
    values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], dtype: str, nodata: float | None
) -> npt.NDArray[Any]:
    """Fused values [B,h,w] rounded and clipped to the range of ``dtype``; no-data where ``valid`` [1,h,w] is false.

    A valid value that equals no-data after rounding is moved by one, so that it stays valid.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        result = values.astype(kind)
    else:
        info = np.iinfo(kind)
        result = np.clip(np.rint(values.astype(np.float64)), info.min, info.max).astype(kind)
        if nodata is not None:
            result[result == kind.type(nodata)] = kind.type(nodata + 1 if nodata < info.max else nodata - 1)
    if nodata is not None:
        result = np.where(valid, result, kind.type(nodata))
    return result


def pick_nodata(declared: Sequence[float | None], dtype: str, may_be_invalid: bool) -> float | None:
    """The first no-data value of the inputs that ``dtype`` can hold; else NaN or 0 if one may be needed; else None."""
    kind = np.dtype(dtype)
    for value in declared:
        if value is None:
            continue
        if kind.kind == "f":
            return value
        if np.isfinite(value) and value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max:
            return value
    if not may_be_invalid:
        return None
    return float("nan") if kind.kind == "f" else 0.0


def write(target: DatasetWriter, values: npt.NDArray[Any], row: int, column: int) -> None:
    """Write [B,h,w] with its upper-left corner at (row, column)."""
    target.write(values, window=Window(column, row, values.shape[2], values.shape[1]))
