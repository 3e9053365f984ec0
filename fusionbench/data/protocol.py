"""Wald's protocol on one part of one scene: cut, move PAN, mark missing pixels, degrade; written as one cache entry.

Wald, Ranchin, Mangolini, Fusion of satellite images of different spatial resolutions, PE&RS 63(6), 1997: MS and PAN are
degraded by the ratio between them, so that the original MS is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fusionbench.data.cache import code_digest
from fusionbench.data.readers.image import Image, Scene, Window
from fusionbench.errors import DataError
from fusionbench.imaging.shift import estimate_shift, shift
from fusionbench.imaging.wald import degrade_ms, degrade_pan

CODE = ("fusionbench.data.protocol", "fusionbench.imaging.wald", "fusionbench.imaging.mtf", "fusionbench.imaging.shift")
STRIP = 1024  # rows read and degraded at a time
HALO = 32  # rows read beyond a strip: MTF half-width 20 and half-sample filter 6; or antialiased bicubic, 2 x ratio
SHIFT_WINDOW = 256  # px of MS, centred, on which a scene's PAN-MS shift is estimated
COVERED = 0.99  # share of a degraded pixel's weight that must lie on valid pixels
SATURATION = 2  # a number is saturated from 2^bits - SATURATION on


def estimate_scene_shift(lr: Image, guide: Image, ratio: int, grid: str) -> dict[str, float]:
    """Global PAN-MS shift of a pair, in PAN pixels, on its centre (DESIGN, registration).

    Returns:
        ``dy``, ``dx`` (PAN pixels), ``r2_before``, ``r2_after``; the shift that was applied to PAN to reach `r2_after`.
    """
    window = centre(lr.shape[1:], SHIFT_WINDOW)
    low, fine = (
        torch.from_numpy(read_filled(image, at)[0].astype(np.float64))
        for image, at in ((lr, window), (guide, window.times(ratio)))
    )
    estimate = estimate_shift(low, fine, ratio, grid)
    return {name: float(getattr(estimate, name)) for name in ("dy", "dx", "r2_before", "r2_after")}


def centre(size: Sequence[int], side: int) -> Window:
    """The window of at most `side` px in the middle of an image."""
    rows, columns = (min(side, n) for n in size)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    return Window(top, top + rows, left, left + columns)


def write_piece(
    folder: Path,
    scene: Scene,
    window: Window,
    *,
    ratio: int,
    grid: str,
    gains: Sequence[float],
    bits: int,
    move: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Write one part of a scene, native and degraded, as ``.npy`` arrays.

    Written are ``ms`` [B, h, w] and ``pan`` [1, r h, r w] in the file's numbers (float32 DN where PAN was moved),
    ``lr`` [B, h/r, w/r] and ``guide`` [1, h, w] in float32 DN (not rounded), and where pixels are missing ``valid_ms``,
    ``valid_pan``, ``valid_lr``, ``valid_guide`` [1, ...]. Missing pixels hold the value of the nearest valid pixel.

    Args:
        folder: empty folder.
        scene: native pair.
        window: MS rows and columns; cut to multiples of the ratio at the bottom and right.
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
        gains: MTF gains at Nyquist, one per band.
        bits: bit depth.
        move: rows and columns (PAN pixels) by which PAN is moved, after the cut and before any degradation.

    Returns:
        Facts: sizes, share of missing and of saturated pixels, dtype, largest value.

    Raises:
        DataError: values beyond the bit depth, negative numbers, or no valid pixel.
    """
    rows, columns = (n // ratio * ratio for n in window.shape)
    window = Window(window.top, window.top + rows, window.left, window.left + columns)
    ms, ms_facts = _copy(folder, "ms", scene.ms, window, bits, scene.name)
    pan, pan_facts = _copy(folder, "pan", scene.pan, window.times(ratio), bits, scene.name)
    if move is not None:
        pan = _move(folder, pan, move)
    _degrade(folder, "lr", ms, ratio, lambda x: degrade_ms(x, gains, ratio, grid))
    _degrade(folder, "guide", pan, ratio, lambda x: degrade_pan(x, ratio))
    for name, low in (("ms", "lr"), ("pan", "guide")):
        if (folder / f"valid_{name}.npy").exists():
            _degrade_mask(folder, name, low, ratio, grid, gains)
    return {"window": window.as_list(), "ms": ms_facts, "pan": pan_facts}


def _copy(
    folder: Path, name: str, image: Image, window: Window, bits: int, scene: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Copy a window to disk strip by strip, fill what is missing, and look at its values."""
    channels, (rows, columns) = image.shape[0], window.shape
    values = _create(folder, name, image.dtype, (channels, rows, columns))
    valid = np.ones((rows, columns), bool)
    for top in range(0, rows, STRIP):
        stop = min(top + STRIP, rows)
        part = Window(window.top + top, window.top + stop, window.left, window.right)
        values[:, top:stop], mask = image.read(part)
        if mask is not None:
            valid[top:stop] = mask
    if not valid.all():
        values[:] = _fill(values, valid, image.path, window)
        np.save(folder / f"valid_{name}.npy", valid[None])
    low, high = float(values.min()), float(values.max())
    if high >= 2**bits:
        raise DataError(
            f"scene {scene}: {image.path} holds values up to {high:g}, more than {bits} bits can ({2**bits - 1}): "
            "set data.bits, or data.nodata where the number marks missing pixels"
        )
    if low < 0:
        raise DataError(
            f"scene {scene}: {image.path} holds negative values ({low:g}): set data.nodata if they mark gaps"
        )
    values.flush()
    saturated = float((values >= 2**bits - SATURATION).mean())
    facts = {"shape": list(values.shape), "dtype": str(values.dtype), "max": high}
    return values, {**facts, "missing": 1 - float(valid.mean()), "saturated": saturated}


def _fill(values: np.ndarray, valid: np.ndarray, path: Path, window: Window) -> np.ndarray:
    """Give missing pixels the value of the nearest valid one."""
    if not valid.any():
        raise DataError(f"{path}: no valid pixel in rows and columns {window.as_list()}")
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return np.asarray(values)[:, nearest[0], nearest[1]]


def read_filled(image: Image, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """Values of a window with missing pixels set to the nearest valid one, and the valid pixels (None: all)."""
    values, valid = image.read(window)
    return (values, None) if valid is None else (_fill(values, valid, image.path, window), valid)


def _create(folder: Path, name: str, dtype: np.dtype | type, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)


def _move(folder: Path, pan: np.ndarray, move: tuple[float, float]) -> np.ndarray:
    moved = shift(torch.from_numpy(np.asarray(pan, np.float64)), *move)
    np.save(folder / "pan.npy", moved.to(torch.float32).numpy())
    mask = folder / "valid_pan.npy"
    if mask.exists():
        share = shift(torch.from_numpy(np.load(mask).astype(np.float64)), *move)
        np.save(mask, ((share - 1).abs() <= 1 - COVERED).numpy())
    return np.load(folder / "pan.npy", mmap_mode="r")


def _degrade(
    folder: Path, name: str, source: np.ndarray, ratio: int, operator: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Degrade an image in strips of rows that read beyond their ends, so that large scenes need little memory."""
    channels, rows, columns = source.shape
    target = _create(folder, name, np.float32, (channels, rows // ratio, columns // ratio))
    strip, halo = STRIP // ratio * ratio, -(-max(HALO, 2 * ratio) // ratio) * ratio
    for top in range(0, rows, strip):
        start, stop = max(top - halo, 0), min(top + strip + halo, rows)
        values = operator(torch.from_numpy(np.asarray(source[:, start:stop], np.float64)))
        first, count = (top - start) // ratio, min(strip, rows - top) // ratio
        target[:, top // ratio : top // ratio + count] = values[:, first : first + count].numpy()
    target.flush()


def _degrade_mask(folder: Path, name: str, low: str, ratio: int, grid: str, gains: Sequence[float]) -> None:
    """A degraded pixel is valid where its weight lies on valid pixels, by the widest of the bands' filters."""
    valid = torch.from_numpy(np.load(folder / f"valid_{name}.npy").astype(np.float64))
    ones = torch.ones_like(valid)
    widest = [min(gains)]
    if low == "lr":
        share = degrade_ms(valid, widest, ratio, grid) / degrade_ms(ones, widest, ratio, grid)
    else:
        share = degrade_pan(valid, ratio)
    np.save(folder / f"valid_{low}.npy", ((share - 1).abs() <= 1 - COVERED).numpy())


def piece_key(
    scene: Any,
    window: Window,
    ratio: int,
    grid: str,
    gains: Sequence[float],
    bits: int,
    move: tuple[float, float] | None,
) -> dict[str, Any]:
    """Everything a piece depends on, for the cache's key; `scene` says where the pixels come from."""
    code = code_digest(CODE)
    return {
        "scene": scene, "window": window.as_list(), "ratio": ratio, "grid": grid, "gains": list(gains), "bits": bits,
        "move": move, "code": code,
    }  # fmt: skip
