"""Reference cases of tests/data/references and of the GeoEye-1 crop, as batches of one in float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SYNTHETIC = {
    "synthetic_qb_4band": [0.34, 0.32, 0.30, 0.22],
    "synthetic_wv3_8band": [0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315],
}
AWKWARD = [
    *("zero_pixels", "constant_block_equal", "constant_block_shifted", "constant_block_reference_only", "zero_blocks"),
    *("identical", "six_bands", "size_100x90", "size_33x70_8_bands", "one_band", "two_bands", "sixteen_bands"),
    *("dark_smooth", "rounding"),
]
# no D_lambda in the toolbox: one band, or sizes that are no multiple of the block
REFUSED = ["size_100x90", "size_33x70_8_bands", "one_band"]
CUT = (..., slice(20, 107), slice(20, 107))


def load(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The values of a case (JSON) and its arrays as [1,C,H,W] float64."""
    with np.load(folder / f"{name}.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key].astype(np.float64))[None] for key in arrays.files}
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), tensors


def scene(seed: int = 0, n: int = 1, bands: int = 4, size: int = 64, noise: float = 20.0) -> tuple[Tensor, Tensor]:
    """Reference and estimate [n,bands,size,size] float32, 11-bit digital numbers with texture at two scales."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, bands, size // 8, size // 8, generator=rng)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    x = (300 + 900 * smooth + 60 * torch.rand(n, bands, size, size, generator=rng)).round().clamp(0, 2047)
    return x, (x + noise * torch.randn(x.shape, generator=rng)).clamp(0, 2047)
