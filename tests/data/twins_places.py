"""Tiny twins of data sets of places, in their published layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

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


def write_towns(root: Path, towns: int = 3, places: int = 6, seed: int = 0) -> None:
    """Folders of towns with an image of 48 x 64 px of 2 m, points of three kinds, places of two uses, series of 24."""
    rng = np.random.default_rng(seed)
    for number in range(towns):
        folder = root / f"town{number}"
        folder.mkdir(parents=True)
        image = rng.integers(0, 256, (4, 48, 64)).astype(np.uint8)
        settings = {"height": 48, "width": 64, "count": 4, "dtype": "uint8", "crs": "EPSG:32649"}
        with rasterio.open(folder / "image.tif", "w", transform=from_origin(1000, 5000, 2, 2), **settings) as file:
            file.write(image)
        points = np.column_stack([rng.uniform(1000, 1128, 5), rng.uniform(4904, 5000, 5), [0, 1, 2, 0, 1]])
        middles = np.column_stack(
            [rng.uniform(1000, 1128, places), rng.uniform(4904, 5000, places), np.arange(places) % 2]
        )
        for name, header, table in (("poi", "x,y,kind", points), ("places", "x,y,use", middles)):
            np.savetxt(folder / f"{name}.csv", table, "%.3f", ",", header=header, comments="")
        np.savetxt(folder / "activity.csv", rng.poisson(9, (places, 24)), "%d", ",")
