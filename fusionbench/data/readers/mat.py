"""MATLAB files, v5 (scipy) and v7.3 (HDF5, axes reversed)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.data.readers.image import Window, missing_pixels
from fusionbench.errors import DataError

READ_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, zlib.error)


def is_hdf5(path: Path) -> bool:
    """Whether a MAT file is v7.3, that is HDF5 behind a 512-byte header."""
    with path.open("rb") as stream:
        head = stream.read(520)
    return head.startswith((b"MATLAB 7.3", b"\x89HDF")) or head[512:].startswith(b"\x89HDF")


def mat_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes (MATLAB's axis order) of a MAT file's arrays, from its headers.

    Raises:
        DataError: the file is truncated or no MAT file.
    """
    try:
        if is_hdf5(path):
            import h5py

            with h5py.File(path, "r") as file:
                return {k: v.shape[::-1] for k, v in file.items() if isinstance(v, h5py.Dataset) and k[0] != "#"}
        from scipy.io import whosmat

        return {name: tuple(shape) for name, shape, _ in whosmat(path)}
    except READ_ERRORS as error:
        raise DataError(f"{path}: not a readable MAT file ({error}); truncated or of another format?") from error


def read_mat(path: Path, only: Iterable[str] | None = None) -> dict[str, Any]:
    """Variables of a MAT file in MATLAB's axis order, whichever version wrote it.

    Args:
        path: file, v5 to v7.3.
        only: names to read; absent ones are left out. None: all.

    Raises:
        DataError: the file is truncated or no MAT file.
    """
    names = None if only is None else list(only)
    try:
        if is_hdf5(path):
            import h5py

            with h5py.File(path, "r") as file:
                wanted = [name for name in file if name[0] != "#" and (names is None or name in names)]
                return {name: np.asarray(file[name]).T for name in wanted if isinstance(file[name], h5py.Dataset)}
        from scipy.io import loadmat

        return {k: v for k, v in loadmat(path, variable_names=names).items() if not k.startswith("__")}
    except READ_ERRORS as error:
        raise DataError(f"{path}: not a readable MAT file ({error}); truncated or of another format?") from error


@lru_cache(maxsize=2)  # PAN and MS of the scene at hand
def _image(path: Path, name: str, size: int, changed: int) -> np.ndarray:
    values = np.asarray(read_mat(path, only=(name,))[name])
    return np.ascontiguousarray(values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0))


@dataclass(frozen=True)
class MatImage:
    """One array [H, W] or [H, W, C] of a MAT file as an image [C, H, W]; the format allows no reading by window.

    Args:
        path: MAT file.
        variable: its name; None: the only array of two or three axes.
        nodata: value that marks missing pixels.

    Raises:
        DataError: the variable is absent or no image.
    """

    path: Path
    variable: str | None = None
    nodata: float | None = None

    @cached_property
    def name(self) -> str:
        """The variable's name."""
        shapes = mat_shapes(self.path)
        if self.variable is not None:
            if self.variable not in shapes:
                raise DataError(f"{self.path}: no variable {self.variable}; it holds {', '.join(sorted(shapes))}")
            return self.variable
        images = [k for k, shape in shapes.items() if len(shape) in (2, 3) and min(shape[:2]) > 1]
        if len(images) != 1:
            raise DataError(f"{self.path}: one image array was expected, found {', '.join(sorted(images)) or 'none'}")
        return images[0]

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        shape = mat_shapes(self.path)[self.name]
        if len(shape) not in (2, 3):
            raise DataError(f"{self.path}: {self.name} has {len(shape)} axes; an image has 2 or 3")
        return (1, shape[0], shape[1]) if len(shape) == 2 else (shape[2], shape[0], shape[1])

    @property
    def array(self) -> np.ndarray:
        """The whole image [C, H, W]; the last few that were read stay in memory."""
        stat = self.path.stat()
        return _image(self.path, self.name, stat.st_size, stat.st_mtime_ns)

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored numbers."""
        return self.array.dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Values and valid pixels of a window."""
        values = self.array[:, window.top : window.bottom, window.left : window.right]
        return values, missing_pixels(values, self.nodata)
