"""Colour composites: one stretch, taken from one image, applied to all that are to be compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def stretch_limits(image: Tensor, low: float = 1.0, high: float = 99.0, valid: Tensor | None = None) -> Tensor:
    """Per-band percentiles of an image, the ends of a linear stretch.

    Args:
        image: [C,H,W], any unit; non-finite pixels are left out.
        low, high: percentiles, 0..100.
        valid: [1,H,W] or [H,W] bool; only these pixels count.

    Returns:
        [C,2] float64, in the image's unit; the two ends differ in every band.

    Raises:
        ValueError: the image has no such shape, or no valid pixel.
    """
    if image.ndim != 3:
        raise ValueError(f"expected an image [C,H,W], got {tuple(image.shape)}")
    flat = image.detach().double().reshape(image.shape[0], -1)
    keep = torch.isfinite(flat).all(0)
    if valid is not None:
        keep &= valid.reshape(-1).bool()
    if not bool(keep.any()):
        raise ValueError("no valid pixel to take a stretch from")
    ordered = flat[:, keep].sort(dim=1).values
    last = ordered.shape[1] - 1
    ends = torch.stack([ordered[:, round(last * q / 100)] for q in (low, high)], dim=1)
    flat_band = ends[:, 1] <= ends[:, 0]
    ends[flat_band, 1] = ends[flat_band, 0] + 1.0
    return ends


def stretch(image: Tensor, limits: Tensor) -> Tensor:
    """Map each band of [C,H,W] linearly so that its ``limits`` [C,2] become 0 and 1, and clip."""
    ends = limits.to(image.device, torch.float64)
    low, high = ends[:, 0, None, None], ends[:, 1, None, None]
    return ((image.double() - low) / (high - low)).clamp(0.0, 1.0)


def composite(image: Tensor, bands: Sequence[int], limits: Tensor, gamma: float = 1.0) -> Tensor:
    """An 8-bit colour picture of a multiband image.

    Args:
        image: [B,H,W] in the unit of ``limits``.
        bands: three band positions for red, green and blue, or one for grey.
        limits: [len(bands),2], from :func:`stretch_limits` of the chosen bands of the image that sets the stretch.
        gamma: brightness exponent; values above 1 lift the shadows.

    Returns:
        [H,W,3] uint8 on the CPU; pixels that are not finite are black.

    Raises:
        ValueError: other than one or three bands, or a band that the image has not.
    """
    if len(bands) not in (1, 3):
        raise ValueError(f"expected one or three bands, got {list(bands)}")
    if not all(0 <= b < image.shape[-3] for b in bands):
        raise ValueError(f"bands {list(bands)} are not all among the image's {image.shape[-3]}")
    picked = stretch(image.detach()[list(bands)], limits).pow(1.0 / gamma)
    picture = (torch.nan_to_num(picked) * 255.0).round().to(torch.uint8).cpu()
    return picture.expand(3, -1, -1).permute(1, 2, 0).contiguous()
