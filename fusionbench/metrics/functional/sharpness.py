"""Figures of a fused image alone or with PAN: FCC, spatial frequency, standard deviation. Not scores of quality."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from fusionbench.errors import DataError
from fusionbench.metrics.functional.inputs import check_valid, double, stack
from fusionbench.metrics.functional.structural import correlation, laplacian
from fusionbench.metrics.functional.windows import whole_windows


@torch.no_grad()
def fcc(fused: Tensor, pan: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Filtered correlation: the largest over bands of Pearson's r between Laplacians (8, -1) of a band and of PAN.

    Images are continued by zeros; pixels with an invalid neighbour are left out. A band without detail counts as none;
    with no other the value is NaN.

    Shapes: fused [N,B,H,W], pan [N,1,H,W], valid [N,1,H,W] bool -> [N] float64 in [-1, 1].
    Raises:
        DataError: shapes that do not belong together.
    """
    found = []
    for bands, panchromatic, mask in with_pan(fused, pan, valid):
        detail, target = (laplacian(F.pad(x, (1, 1, 1, 1))) for x in (bands, panchromatic[0]))
        if mask is not None:
            usable = whole_windows(F.pad(mask, (1, 1, 1, 1), value=True), 3)
            detail, target = detail[:, usable], target[usable]
        r = torch.stack([correlation(x, target) for x in detail])
        known = r[~r.isnan()]
        found.append(known.max() if len(known) else r[0])
    return stack(found, fused)


@torch.no_grad()
def spatial_frequency(image: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Root of the mean squared difference between neighbours in a row plus that in a column, over all bands.

    Shapes: [N,B,H,W], valid [N,1,H,W] bool -> [N] float64, in the unit of the data.
    """
    found = []
    for x, mask in _masked(image, valid):
        across, down = x.diff(dim=-1).square(), x.diff(dim=-2).square()
        if mask is not None:
            across, down = across[:, mask[:, 1:] & mask[:, :-1]], down[:, mask[1:] & mask[:-1]]
        found.append((across.mean() + down.mean()).sqrt())
    return stack(found, image)


@torch.no_grad()
def standard_deviation(image: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Standard deviation (biased) of each band, mean over bands.

    Shapes: [N,B,H,W], valid [N,1,H,W] bool -> [N] float64, in the unit of the data.
    """
    found = []
    for x, mask in _masked(image, valid):
        flat = x.flatten(1) if mask is None else x[:, mask]
        found.append(flat.std(1, correction=0).mean())
    return stack(found, image)


def with_pan(fused: Tensor, pan: Tensor, valid: Tensor | None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Fused image [B,H,W] and PAN [1,H,W] in float64, invalid pixels 0, and the mask [H,W], image by image.

    Raises:
        DataError: shapes that do not belong together.
    """
    if fused.ndim != 4 or pan.shape != fused[:, :1].shape:
        raise DataError(f"fused [N,B,H,W] and PAN [N,1,H,W] do not fit: {list(fused.shape)} and {list(pan.shape)}")
    for (x, mask), (y, _) in zip(_masked(fused, valid), _masked(pan, valid), strict=True):
        yield x, y, mask


def _masked(image: Tensor, valid: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    if image.ndim != 4:
        raise DataError(f"images must be [N,B,H,W], got {list(image.shape)}")
    check_valid(valid, (image.shape[0], 1, *image.shape[2:]))
    for k, x in enumerate(image):
        mask = None if valid is None else valid[k, 0]
        yield double(x, mask), mask
