"""Vertex component analysis."""

from __future__ import annotations

import numpy as np

from fusionbench.errors import DataError


def vca(spectra: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """End-members [P,B] of spectra [n,B], any unit, and the pixels [P] that they are.

    Args:
        spectra: one row a pixel.
        count: P, from 2 to B.
        seed: of the random directions.

    Raises:
        DataError: more end-members than bands or pixels, or fewer than two.

    Source: Nascimento, Bioucas-Dias, Vertex component analysis: a fast algorithm to unmix hyperspectral data, IEEE
    TGRS 43(4), 2005.
    """
    pixels, bands = spectra.shape
    if not 2 <= count <= min(bands, pixels):
        raise DataError(f"VCA: {count} end-members from {pixels} pixels of {bands} bands; 2 to {min(bands, pixels)}")
    y = np.asarray(spectra, np.float64).T
    mean = y.mean(1, keepdims=True)
    centred = y - mean
    basis = np.linalg.svd(centred @ centred.T / pixels)[0][:, :count]
    low = basis.T @ centred
    power, kept = (y**2).sum() / pixels, (low**2).sum() / pixels + float((mean**2).sum())
    ratio = 10 * np.log10(max(kept - count / bands * power, 1e-300) / max(power - kept, 1e-300))
    if ratio < 15 + 10 * np.log10(count):  # dB; noisy: a plane of P - 1 dimensions, lifted
        low = low[: count - 1]
        height = np.sqrt((low**2).sum(0).max())
        x = np.vstack([low, np.full((1, pixels), height)])
    else:  # projected from the origin on to a plane
        basis = np.linalg.svd(y @ y.T / pixels)[0][:, :count]
        x = basis.T @ y
        x = x / (x.mean(1) @ x)
    rng = np.random.default_rng(seed)
    found, members = np.zeros(count, np.int64), np.zeros((count, count))
    members[-1, 0] = 1
    for i in range(count):
        direction = rng.standard_normal(count)
        direction -= members @ (np.linalg.pinv(members) @ direction)  # away from those that are found
        found[i] = int(np.abs(direction @ x).argmax())
        members[:, i] = x[:, found[i]]
    return np.asarray(spectra)[found], found
