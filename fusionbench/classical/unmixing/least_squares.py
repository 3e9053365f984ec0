"""Fully constrained least squares."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

WEIGHT = 1e3  # of the sum of abundances against the spectra, whose largest value counts as 1


def fcls(spectra: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Abundances [n,P], none negative, sum 1, that explain spectra [n,B] by end-members [P,B] of the same unit.

    Source: Heinz, Chang, Fully constrained least squares linear spectral mixture analysis method for material
    quantification in hyperspectral imagery, IEEE TGRS 39(3), 2001: the sum is one more band of a large weight.
    """
    scale = float(np.abs(members).max()) or 1.0
    matrix = np.vstack([members.T / scale, np.full((1, len(members)), WEIGHT)])
    seen = np.hstack([spectra / scale, np.full((len(spectra), 1), WEIGHT)])
    found = np.stack([nnls(matrix, row)[0] for row in seen.astype(np.float64)])
    return found / found.sum(1, keepdims=True)
