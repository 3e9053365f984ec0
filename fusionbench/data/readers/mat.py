"""MATLAB files, v5 (scipy) and v7.3 (HDF5, axes reversed)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.errors import DataError


def is_hdf5(path: Path) -> bool:
    """Whether a MAT file is v7.3, that is HDF5 behind a 512-byte header."""
    with path.open("rb") as stream:
        head = stream.read(520)
    return head.startswith(b"MATLAB 7.3") or head[512:].startswith(b"\x89HDF") or head.startswith(b"\x89HDF")


def read_mat(path: Path, only: Iterable[str] | None = None) -> dict[str, Any]:
    """Variables of a MAT file with MATLAB's axis order, whichever version wrote it.

    Args:
        path: file, v5 to v7.3.
        only: names to read; absent ones are left out. None: all.

    Raises:
        DataError: the file is truncated or no MAT file.
    """
    names = None if only is None else list(only)
    try:
        return _read_hdf5(path, names) if is_hdf5(path) else _read_v5(path, names)
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, zlib.error) as error:
        raise DataError(f"{path}: not a readable MAT file ({error}); truncated or of another format?") from error


def _read_v5(path: Path, names: list[str] | None) -> dict[str, Any]:
    from scipy.io import loadmat

    found = loadmat(path, variable_names=names)
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _read_hdf5(path: Path, names: list[str] | None) -> dict[str, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        wanted = [name for name in file if not name.startswith("#") and (names is None or name in names)]
        return {name: np.asarray(file[name]).T for name in wanted if isinstance(file[name], h5py.Dataset)}
