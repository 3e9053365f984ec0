"""Hyperspectral cubes from MATLAB files, whatever the order of their axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fusionbench.data.readers.mat import mat_shapes, read_mat
from fusionbench.errors import DataError


def read_cube(path: Path, names: Sequence[str], bands: int, pixels: Mapping[str, str] | None = None) -> np.ndarray:
    """A cube [B,H,W] float32, in the file's numbers.

    Args:
        path: MAT file, v5 or v7.3.
        names: variables that may hold it; the first that is there.
        bands: B.
        pixels: for a cube that lies as [B, pixels] in MATLAB's column order: names of the variables with its ``rows``
            and ``columns``.

    Raises:
        DataError: no such variable, or none of its axes has B entries; file and what is there are named.
    """
    shapes = mat_shapes(path)
    name = next((name for name in names if name in shapes), None)
    if name is None:
        raise DataError(f"{path}: none of {', '.join(names)} is in it; there are {_listed(shapes)}")
    wanted = [name, *(pixels or {}).values()]
    found = read_mat(path, only=wanted)
    values = np.asarray(found[name])
    if pixels is not None:
        absent = [key for key in pixels.values() if key not in found]
        if absent or values.ndim != 2 or values.shape[0] != bands:
            raise DataError(
                f"{path}: {name} must be [{bands}, pixels] beside {', '.join(pixels.values())}; {_listed(shapes)}"
            )
        rows, columns = (int(np.asarray(found[pixels[key]]).flat[0]) for key in ("rows", "columns"))
        if rows * columns != values.shape[1]:
            raise DataError(f"{path}: {name} has {values.shape[1]} pixels, {rows} rows x {columns} columns were stated")
        return np.ascontiguousarray(values.reshape(bands, columns, rows).transpose(0, 2, 1), np.float32)
    axes = [axis for axis, length in enumerate(values.shape) if length == bands]
    if values.ndim != 3 or not axes:
        raise DataError(f"{path}: {name} has the shape {values.shape}; a cube of {bands} bands was expected")
    return np.ascontiguousarray(np.moveaxis(values, axes[-1], 0), np.float32)


def _listed(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items()) or "nothing"
