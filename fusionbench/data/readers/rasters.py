"""Arrays named by file and key: MATLAB (v5 and v7.3, structs within), and GeoTIFF; rasters come out as [B,H,W]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.data.layouts import RASTER_SUFFIXES, matching
from fusionbench.data.readers.mat import READ_ERRORS, is_hdf5
from fusionbench.errors import DataError


def named(root: Path, source: str) -> tuple[Path, str]:
    """File and key of a source such as ``HSI.mat:HSI`` or ``campus.mat:hsi.Lidar.0.z`` below a folder.

    Raises:
        DataError: there is no such file.
    """
    pattern, _, key = source.partition(":")
    found = [path for path in matching(root, pattern) if path.is_file()]
    if not found:
        raise DataError(f"{root}: holds no file {pattern}")
    return found[0], key


def read_array(path: Path, key: str = "") -> np.ndarray:
    """One array, MATLAB's axis order; of a GeoTIFF [H,W] or [H,W,B].

    Args:
        path: ``.mat`` or ``.tif``.
        key: its place in a MAT file: variable, fields of structs and numbers of cells, joined by dots; empty: the only
            variable.

    Raises:
        DataError: the file cannot be read or holds no such array.
    """
    if path.suffix.lower() in RASTER_SUFFIXES:
        return _read_tif(path)
    try:
        value = _read_hdf5(path, key) if is_hdf5(path) else _read_v5(path, key)
    except READ_ERRORS as error:
        raise DataError(f"{path}: not a readable MAT file ({error}); truncated or of another format?") from error
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise DataError(f"{path}: {key} is no array of numbers")
    return value


def _read_tif(path: Path) -> np.ndarray:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as source:
            values = source.read()
    except RasterioError as error:
        raise DataError(f"{path}: not a readable GeoTIFF ({error})") from error
    found: np.ndarray = values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)
    return found


def _read_v5(path: Path, key: str) -> Any:
    from scipy.io import loadmat, whosmat

    names = [name for name, _, _ in whosmat(path)]
    top, *steps = key.split(".") if key else _only(path, names)
    if top not in names:
        raise DataError(f"{path}: no variable {top}; it holds {', '.join(names)}")
    value = loadmat(path, variable_names=[top], squeeze_me=bool(steps), struct_as_record=False)[top]
    for number, step in enumerate(steps):
        value = np.atleast_1d(value).flat[int(step)] if step.isdigit() else getattr(value, step, None)
        if value is None:
            raise DataError(f"{path}: {'.'.join([top, *steps[:number]])} has no field {step}")
    return value


def _read_hdf5(path: Path, key: str) -> Any:
    import h5py

    with h5py.File(path, "r") as file:
        names = [name for name in file if name[0] != "#"]
        top, *steps = key.split(".") if key else _only(path, names)
        if top not in names:
            raise DataError(f"{path}: no variable {top}; it holds {', '.join(names)}")
        value = file[top]
        for number, step in enumerate(steps):
            if step.isdigit():  # a cell: references to its elements; a struct that is no array is its own first element
                value = file[value[()].flat[int(step)]] if isinstance(value, h5py.Dataset) else value
            elif step in value:
                value = value[step]
            else:
                raise DataError(f"{path}: {'.'.join([top, *steps[:number]])} has no field {step}")
        if isinstance(value, h5py.Dataset) and value.dtype == h5py.ref_dtype and value.size == 1:
            value = file[value[()].flat[0]]
        return np.asarray(value).T if isinstance(value, h5py.Dataset) else value


def _only(path: Path, names: Sequence[str]) -> list[str]:
    if len(names) != 1:
        raise DataError(f"{path}: one variable was expected, it holds {', '.join(names)}")
    return list(names)


def as_raster(values: np.ndarray, bands: int | None, size: Sequence[int] | None, where: str) -> np.ndarray:
    """An array of a file as [B,H,W] float32.

    Args:
        values: [H,W], [H,W,B] or, where only that fits ``bands``, [B,H,W].
        bands: how many are expected; None: any number.
        size: rows and columns where they are known: an array that lies on its side is turned.
        where: file and key, for messages.

    Raises:
        DataError: no image, or another number of bands.
    """
    if values.ndim not in (2, 3):
        raise DataError(f"{where}: {values.ndim} axes; an image has 2 or 3")
    image = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    if bands is not None and image.shape[0] != bands and values.ndim == 3 and values.shape[0] == bands:
        image = values
    if bands is not None and image.shape[0] != bands:
        raise DataError(f"{where}: {image.shape[0]} bands (shape {values.shape}), the data set has {bands}")
    if size is not None and image.shape[1:] == tuple(size)[::-1] and image.shape[1:] != tuple(size):
        image = image.transpose(0, 2, 1)
    return np.ascontiguousarray(image, np.float32)


def as_labels(
    values: np.ndarray,
    classes: int,
    size: Sequence[int] | None,
    where: str,
    palette: Sequence[Sequence[int]] | None = None,
) -> np.ndarray:
    """A label map of a file as class indices [H,W] int16 from 0; -1 where there is no label.

    Args:
        values: [H,W] numbers from 1, 0 or below for no label; or [H,W,3 or 4] colours.
        classes: how many there are.
        size: see `as_raster`.
        where: file and key, for messages.
        palette: colour of each class, for maps in colours.

    Raises:
        DataError: colours without a palette, a colour or a number that stands for no class.
    """
    if values.ndim == 3 and values.shape[-1] in (3, 4):
        if palette is None:
            raise DataError(f"{where}: is in colours; the collection's palette says which class each stands for")
        coloured = np.full(values.shape[:2], -1, np.int16)
        for number, colour in enumerate(palette):
            coloured[(values[..., :3] == np.asarray(colour)).all(-1)] = number
        rest = np.unique(values[..., :3][(coloured < 0) & values[..., :3].any(-1)].reshape(-1, 3), axis=0)
        if len(rest):
            raise DataError(f"{where}: colour {rest[0].tolist()} is in no class of the palette")
        labels = coloured
    else:
        flat = values if values.ndim == 2 else values.squeeze()
        if flat.ndim != 2:
            raise DataError(f"{where}: shape {values.shape}; a label map has two axes")
        highest = int(np.nanmax(flat))
        if highest > classes or (flat != np.floor(flat)).any():
            raise DataError(f"{where}: label {highest}; the data set has the classes 1 to {classes}, 0 is no label")
        labels = np.where(flat > 0, flat.astype(np.int16) - 1, np.int16(-1)).astype(np.int16)
    if size is not None and labels.shape == tuple(size)[::-1] and labels.shape != tuple(size):
        labels = labels.T
    return np.ascontiguousarray(labels)
