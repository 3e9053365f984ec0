"""What a reader gives: an image that is read by window, and the PAN / MS pairs made of such images. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from fusionbench.errors import DataError


@dataclass(frozen=True)
class Window:
    """Rows and columns [top, bottom) x [left, right) of an image."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def times(self, factor: int) -> Window:
        """The same area on a grid `factor` times as fine."""
        return Window(self.top * factor, self.bottom * factor, self.left * factor, self.right * factor)

    def as_list(self) -> list[int]:
        """Plain numbers: top, bottom, left, right."""
        return [self.top, self.bottom, self.left, self.right]


class Image(Protocol):
    """An image [C, H, W] in digital numbers that is read by window."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored numbers."""

    @property
    def path(self) -> Path:
        """File that holds it."""

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Values [C, h, w] of a window, and its valid pixels [h, w] (bool) or None where all are valid."""


@dataclass(frozen=True)
class Scene:
    """A native PAN / MS pair, to be split and degraded.

    Args:
        name: unique in its data set, no spaces.
        ms: [B, h, w].
        pan: [1, r h, r w].
        bits: bit depth the files state, or None.
    """

    name: str
    ms: Image
    pan: Image
    bits: int | None = None


@dataclass(frozen=True)
class ReadyScene:
    """A pair that was degraded by its publishers (with target), or a full-resolution pair (without).

    Args:
        name: unique in its set.
        roles: ``lr`` [B, h, w], ``guide`` [1, r h, r w], perhaps ``target`` [B, r h, r w].
        bits: bit depth the files state, or None.
    """

    name: str
    roles: Mapping[str, Image] = field(hash=False)
    bits: int | None = None


@dataclass(frozen=True)
class ArrayImage:
    """An image [C, H, W] that is in memory.

    Args:
        array: its values.
        path: what stands for the file in messages.
    """

    array: np.ndarray = field(hash=False, compare=False)
    path: Path = Path("memory")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        channels, rows, columns = self.array.shape
        return channels, rows, columns

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored numbers."""
        return self.array.dtype

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
        """Values and valid pixels of a window."""
        values = self.array[:, window.top : window.bottom, window.left : window.right]
        return values, missing_pixels(values, None)


def missing_pixels(values: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Valid pixels [h, w] of values [C, h, w], no channel NaN, infinite or `nodata`; None where all are valid."""
    valid = np.ones(values.shape[-2:], bool)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    if nodata is not None and np.isfinite(nodata):
        valid &= (values != nodata).all(axis=0)
    return None if valid.all() else valid


def whole(image: Image) -> Window:
    """The window that covers an image."""
    return Window(0, image.shape[1], 0, image.shape[2])


def check_pair(name: str, ms: Image, pan: Image, bands: int, ratio: int) -> None:
    """Refuse a pair whose bands or sizes do not belong together.

    Raises:
        DataError: wrong number of bands, or PAN not exactly `ratio` times as large as MS.
    """
    if ms.shape[0] != bands:
        raise DataError(
            f"scene {name}: {ms.path} has {ms.shape[0]} bands, the data config says channels.lr={bands}; "
            "is this another sensor, or a file with its axes in another order?"
        )
    if pan.shape[0] != 1:
        raise DataError(f"scene {name}: {pan.path} has {pan.shape[0]} bands; a PAN image has one")
    (height, width), (fine_height, fine_width) = ms.shape[1:], pan.shape[1:]
    if (fine_height, fine_width) != (ratio * height, ratio * width):
        raise DataError(
            f"scene {name}: sizes are not in the ratio {ratio}: MS {height}x{width} ({ms.path}), "
            f"PAN {fine_height}x{fine_width} ({pan.path}); PAN should be {ratio * height}x{ratio * width}"
        )
