"""Spatial features of rasters: attribute and extinction profiles, local binary patterns, principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA

from fusionbench.errors import ConfigError
from fusionbench.imaging.max_tree import ATTRIBUTES, MaxTree

LEVELS = 255  # profiles are computed on images of 8 bits, as published
BASE = 3  # extinction profiles keep 3, 9, 27, ... extrema
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # neighbours, going round


def eight_bits(image: np.ndarray) -> np.ndarray:
    """An image [H,W] stretched to whole numbers 0..255; a constant one is 0."""
    low, high = float(image.min()), float(image.max())
    return np.round((image - low) * (LEVELS / (high - low or 1.0))).astype(np.int64)


def area_profile(image: np.ndarray, levels: int = 10, largest: float = 0.05) -> np.ndarray:
    """Attribute profile by area: ``levels`` openings, as many closings, the image [2 levels + 1, H, W] in 0..1.

    Thresholds grow geometrically from 10 px to a share of the image.

    Args:
        image: [H,W].
        levels: of each kind.
        largest: share of the image's pixels that the last threshold is.
    """
    values = eight_bits(image)
    end = max(largest * image.size, 20.0)
    thresholds = np.geomspace(10, end, levels)
    found = []
    for inverted in (False, True):
        tree = MaxTree(LEVELS - values if inverted else values)
        area = tree.attribute("area")
        layers = [tree.kept(area >= threshold) for threshold in thresholds]
        found += [LEVELS - layer if inverted else layer for layer in layers]
    return (np.stack([*found, values]) / LEVELS).astype(np.float32)


def extinction_profile(image: np.ndarray, levels: int = 7, attributes: Sequence[str] = ATTRIBUTES) -> np.ndarray:
    """Extinction profile [(2 levels + 1) attributes, H, W] in 0..1: closings, the image, openings for each attribute.

    Ghamisi, Souza, Benediktsson, Zhu, Rittner, Lotufo, Extinction profiles for the classification of remote sensing
    data, IEEE TGRS 54(10), 2016.

    Args:
        image: [H,W].
        levels: 3, 9, ..., 3^levels extrema are kept.
        attributes: names of `MaxTree.attribute`.
    """
    values = eight_bits(image)
    bright, dark = MaxTree(values), MaxTree(LEVELS - values)
    found: list[np.ndarray] = []
    for name in attributes:
        counts = [BASE**level for level in range(levels, 0, -1)]  # from fine to coarse
        ends = {id(tree): tree.extinction(tree.attribute(name)) for tree in (bright, dark)}
        closed = [LEVELS - dark.strongest(ends[id(dark)], count) for count in reversed(counts)]
        found += [*closed, values, *(bright.strongest(ends[id(bright)], count) for count in counts)]
    return (np.stack(found) / LEVELS).astype(np.float32)


def binary_patterns(image: np.ndarray, window: int = 21) -> np.ndarray:
    """Shares [59,H,W] of the uniform local binary patterns of 8 neighbours in a window around each pixel.

    Ojala, Pietikäinen, Mäenpää, Multiresolution gray-scale and rotation invariant texture classification with local
    binary patterns, IEEE TPAMI 24(7), 2002; 58 patterns with at most two changes, and all others as one.

    Args:
        image: [H,W].
        window: odd side, px; edges are mirrored.
    """
    padded = np.pad(image, 1, mode="edge")
    rows, columns = image.shape
    code = np.zeros(image.shape, np.int64)
    for bit, (down, right) in enumerate(AROUND):
        neighbour = padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
        code |= (neighbour >= image).astype(np.int64) << bit
    number = _pattern_numbers()[code]
    shares = [ndimage.uniform_filter((number == i).astype(np.float32), window, mode="reflect") for i in range(59)]
    return np.stack(shares)


def _pattern_numbers() -> np.ndarray:
    """Number 0..57 of each uniform pattern of 8 bits, 58 for all others."""
    found, free = np.full(256, 58, np.int64), 0
    for code in range(256):
        turned = (code >> 1) | ((code & 1) << 7)
        if bin(code ^ turned).count("1") <= 2:
            found[code], free = free, free + 1
    return found


def components(raster: np.ndarray, count: int) -> np.ndarray:
    """The first principal components [count,H,W] of a raster's bands [B,H,W] over the whole scene.

    Raises:
        ConfigError: more components than bands.
    """
    bands = len(raster)
    if count > bands:
        raise ConfigError(f"data.derived: {count} components of {bands} bands")
    if bands == count == 1:
        return raster
    flat = raster.reshape(bands, -1).T.astype(np.float64)
    scores = PCA(count, svd_solver="full" if bands <= 64 else "covariance_eigh").fit_transform(flat)
    found: np.ndarray = scores.T.reshape(count, *raster.shape[1:])
    return found


def derive(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> np.ndarray:
    """A further role [F,H,W] float32 from a scene's rasters, labels aside.

    Args:
        arrays: [B,H,W] by role.
        settings: ``role`` it is computed from and ``kind``: ``area_profile`` (``levels``) of every band, or
            ``profiles_and_patterns``: extinction profiles (``levels``) of the first ``components``, and binary patterns
            (``window`` px) of the first ``pattern_bands`` components.

    Raises:
        ConfigError: unknown kind.
    """
    raster, kind = arrays[str(settings["role"])], settings["kind"]
    levels = int(settings.get("levels", 7))
    if kind == "area_profile":
        return np.concatenate([area_profile(band, levels) for band in raster])
    if kind == "profiles_and_patterns":
        count, patterned = int(settings["components"]), int(settings["pattern_bands"])
        main = components(raster, max(count, patterned))
        profiles = [extinction_profile(band, levels) for band in main[:count]]
        patterns = [binary_patterns(band, int(settings.get("window", 21))) for band in main[:patterned]]
        return np.concatenate([*profiles, *patterns]).astype(np.float32)
    raise ConfigError(f"data.derived: kind={kind}; area_profile or profiles_and_patterns")
