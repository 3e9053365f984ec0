"""The toolbox's values on synthetic scenes, as float64 tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SCENES = {
    "synthetic_qb_4band": ([0.34, 0.32, 0.30, 0.22], 0.15),
    "synthetic_wv3_8band": ([0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315], 0.14),
}
"""Scene -> gains at Nyquist of its bands and of PAN."""


def load(path: Path) -> dict[str, Tensor]:
    """All arrays of an .npz file, float64; ``grid`` stays whole."""
    with np.load(path) as arrays:
        return {k: torch.from_numpy(arrays[k].astype(np.int64 if k == "grid" else np.float64)) for k in arrays.files}


def on_grid(x: Tensor, grid: Tensor) -> Tensor:
    """The 48 x 48 samples at which the references keep a full-size image."""
    return x[..., grid, :][..., grid]


def difference(x: Tensor, reference: Tensor) -> float:
    assert x.shape == reference.shape
    return float((x.double() - reference).abs().max())
