"""Tiny twins of data sets of places, in their published layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HOURS = 24


def days(rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
    """Smooth days of users [n,2,24], whose height and peak tell the class."""
    hours = np.arange(HOURS)
    peak = (8 + 2 * classes)[:, None, None] + np.array([0, 2])[:, None]
    level = (1 + classes)[:, None, None] * np.exp(-(((hours - peak) / 6) ** 2))
    return np.round(level * rng.uniform(0.9, 1.1, (len(classes), 2, 1)), 6)


def write_user_density(root: Path, per_class: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    """The six files; returns the training and test days [n,2,24] as they should be read."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    found = {}
    for subset, short, count in (("train", "Training", per_class), ("test", "Test", max(per_class // 3, 2))):
        classes = np.repeat(np.arange(7), count)
        found[subset] = series = days(rng, classes)
        stored = series.reshape(-1, 48) if subset == "train" else series.swapaxes(1, 2).reshape(-1, 48)
        np.savetxt(root / f"RTUD_Feature_{short}.csv", stored, "%.9g", ",")
        np.savetxt(root / f"Class_{short}Sample.csv", classes, "%d")
        metres = np.column_stack(
            [rng.uniform(723320, 746052, len(classes)), rng.uniform(2550572, 2571402, len(classes))]
        )
        lines = [f"{c},{x:.6f},{y:.6f}" for c, (x, y) in zip(classes, metres, strict=True)]
        header = "Class,WGS_1984_UTM_49N_x,WGS_1984_UTM_49N_y"
        (root / f"{short}Sample.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return found
