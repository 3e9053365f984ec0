"""Maps of the distance to points of interest, one per kind."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import one_hot


def distance_maps(
    rows: np.ndarray, columns: np.ndarray, kinds: np.ndarray, count: int, size: tuple[int, int], pixel: float
) -> np.ndarray:
    """Distance of each pixel's centre to the nearest point of a kind, by the pixels the points lie in.

    The heat maps of Lu et al., Remote Sensing of Environment 270, 2022; a kind without any point is as far everywhere
    as the map's diagonal.

    Args:
        rows, columns: [n], px; a pixel's centre lies at its whole number plus one half.
        kinds: [n], 0..count-1.
        count: M, kinds there are.
        size: H, W; points outside do not count.
        pixel: map units a pixel.

    Returns:
        [M,H,W] float32, map units.

    Raises:
        ValueError: vectors of different lengths, or a kind outside 0..M-1.
    """
    if not len(rows) == len(columns) == len(kinds):
        raise ValueError(f"{len(rows)} rows, {len(columns)} columns and {len(kinds)} kinds: one of each per point")
    if len(kinds) and not 0 <= int(np.min(kinds)) <= int(np.max(kinds)) < count:
        raise ValueError(f"kinds lie in 0..{count - 1}")
    down, right = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    inside = (down >= 0) & (down < size[0]) & (right >= 0) & (right < size[1])
    taken = np.zeros((count, *size), bool)
    taken[np.asarray(kinds)[inside], down[inside], right[inside]] = True
    farthest = float(np.hypot(*size))
    maps = [distance_transform_edt(~layer) if layer.any() else np.full(size, farthest) for layer in taken]
    return (np.stack(maps) * pixel).astype(np.float32)


def shares_by_zone(classes: Tensor, zones: Tensor, count: int) -> Tensor:
    """Share of each class in every zone: [n] class indices and [n] zone numbers 0..Z-1 -> [Z,K]; NaN where it is empty.

    With classes of windows and street blocks as zones these are the proportions of mixed land use of He et al., IEEE
    TGRS 59(8), 2021.

    Args:
        classes: of pixels or windows; below 0: does not count.
        zones: below 0: in none.
        count: K.
    """
    counted = (classes >= 0) & (zones >= 0)
    last = int(zones.max()) + 1 if zones.numel() else 0
    hits = one_hot(classes[counted], count).double()
    sums = hits.new_zeros(last, count).index_add(0, zones[counted], hits)
    return sums / sums.sum(dim=1, keepdim=True)
