"""HDF5 files of image patches [N, C, H, W], opened once per process and never read whole."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.data.readers.image import Window, missing_pixels
from fusionbench.errors import DataError


@dataclass
class Hdf5File:
    """An HDF5 file that each process opens for itself at its first read (handles must not cross a fork).

    Args:
        path: file.
        keys: data sets [N, C, H, W] that must be there, all of one N.

    Raises:
        DataError: unreadable or truncated, a key is missing, or lengths differ.
    """

    path: Path
    keys: tuple[str, ...]
    _handle: Any = field(default=None, repr=False, compare=False)
    _process: int = field(default=-1, repr=False, compare=False)

    def __post_init__(self) -> None:
        shapes = {key: self.dataset(key).shape for key in self.keys}
        if any(len(shape) != 4 for shape in shapes.values()) or len({shape[0] for shape in shapes.values()}) != 1:
            raise DataError(f"{self.path}: {shapes} should all be [N, C, H, W] with one N")
        self.shapes: dict[str, tuple[int, ...]] = shapes
        self.close()

    def __len__(self) -> int:
        return self.shapes[self.keys[0]][0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None, "_process": -1}

    def _open(self) -> Any:
        if self._handle is None or self._process != os.getpid():
            import h5py

            try:
                self._handle, self._process = h5py.File(self.path, "r"), os.getpid()
            except OSError as error:
                raise DataError(f"{self.path}: not a readable HDF5 file ({error}); incomplete download?") from error
        return self._handle

    def dataset(self, key: str) -> Any:
        """The h5py data set of a key."""
        file = self._open()
        if key not in file:
            raise DataError(f"{self.path}: no key {key!r}; the file has {', '.join(sorted(file)) or 'none'}")
        return file[key]

    def read(self, key: str, index: int) -> np.ndarray:
        """One array [C, H, W] in the file's own numbers."""
        try:
            return np.asarray(self.dataset(key)[index])
        except OSError as error:
            raise DataError(f"{self.path}: {key}[{index}] cannot be read ({error}); damaged?") from error

    def close(self) -> None:
        """Close this process's handle; the next read opens it again."""
        if self._handle is not None and self._process == os.getpid():
            self._handle.close()
        self._handle, self._process = None, -1


def hdf5_keys(path: Path) -> list[str]:
    """Names at the top of an HDF5 file.

    Raises:
        DataError: the file is unreadable or truncated.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return sorted(file)
    except OSError as error:
        raise DataError(f"{path}: not a readable HDF5 file ({error}); incomplete download?") from error


@dataclass(frozen=True)
class Hdf5Image:
    """One element [C, H, W] of an HDF5 data set.

    Args:
        file: the open-on-demand file.
        key: data set in it.
        index: element.
    """

    file: Hdf5File
    key: str
    index: int

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        _, channels, rows, columns = self.file.shapes[self.key]
        return channels, rows, columns

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored numbers."""
        return self.file.dataset(self.key).dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Values and valid pixels of a window."""
        values = self.file.read(self.key, self.index)[:, window.top : window.bottom, window.left : window.right]
        return values, missing_pixels(values, None)
