"""Q2n pixel by pixel, as its definition reads: slow, for tests of the fast form."""

from __future__ import annotations

import numpy as np


def conj(x: np.ndarray) -> np.ndarray:
    """Negates components 2 to the end of [D,...]."""
    return np.concatenate([x[:1], -x[1:]])


def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Hypercomplex product of [D,...] by halving."""
    half = len(x) // 2
    if half == 0:
        return x * y
    a, b, c, d = x[:half], x[half:], y[:half], y[half:]
    b1, d1 = conj(b), conj(d)
    return np.concatenate([product(a, c) - product(d1, conj(b1)), product(conj(a), d1) + product(c, b1)])


def digital(x: np.ndarray) -> np.ndarray:
    """Halves away from zero, then 16 bits."""
    return np.clip(np.sign(x) * np.floor(np.abs(x) + 0.5), 0, 65535)


def q2n(reference: np.ndarray, estimate: np.ndarray, block: int = 32) -> float:
    """Q2n of [B,H,W] float64."""
    bands, height, width = reference.shape
    size = 1 << (bands - 1).bit_length()
    pad = ((0, size - bands), (0, 0), (0, 0))
    extend = ((0, 0), (0, -height % block), (0, -width % block))
    x, y = (np.pad(np.pad(digital(z), extend, mode="symmetric"), pad) for z in (reference, estimate))
    values = []
    for top in range(0, x.shape[1], block):
        for left in range(0, x.shape[2], block):
            part = (slice(None), slice(top, top + block), slice(left, left + block))
            values.append(block_value(x[part].reshape(size, -1), y[part].reshape(size, -1)))
    return float(np.mean(values))


def block_value(x: np.ndarray, y: np.ndarray) -> float:
    """One block, [D,n]."""
    n = x.shape[1]
    u, v = np.empty_like(x), np.empty_like(y)
    for i in range(len(x)):
        mean, sd = x[i].mean(), x[i].std(ddof=1) or 2.2e-16
        u[i] = (x[i] - mean) / sd + 1
        v[i] = y[i] + 1 if mean == 0 else (y[i] - mean) / sd + 1
    v = conj(v)
    m1, m2 = u.mean(1), v.mean(1)
    top = np.linalg.norm(m1) * np.linalg.norm(m2)
    bottom = m1 @ m1 + m2 @ m2
    variance = n / (n - 1) * ((u**2).sum(0).mean() + (v**2).sum(0).mean() - bottom)
    if variance == 0:
        return 2 * top / bottom
    q = n / (n - 1) * (product(u, v).mean(1) - product(m1, m2))
    return float(np.linalg.norm(q * (2 * top / bottom) * (2 / variance)))
