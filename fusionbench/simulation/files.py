"""Write a simulated pair as georeferenced files, with pictures of what only the simulation knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from matplotlib.image import imsave
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import from_origin

from fusionbench.errors import DataError
from fusionbench.imaging.composite import composite, stretch_limits
from fusionbench.sensors import Sensor

ORIGIN = (500_000.0, 5_000_000.0)  # m, upper left corner in UTM zone 32 N: a place by convention only
CRS_CODE = 32632
PALETTE = np.array(
    [(58, 110, 165), (27, 94, 32), (104, 142, 38), (156, 204, 101), (240, 210, 90),
     (161, 116, 72), (80, 80, 84), (170, 170, 170), (200, 60, 50), (255, 0, 255)], np.uint8,
)  # fmt: skip


def write(sensor: Sensor, pair: dict[str, Any], folder: Path, stem: str) -> list[Path]:
    """Write ``<stem>_ms.tif``, ``<stem>_pan.tif`` (uint16, tiled, georeferenced), ``<stem>.json`` and previews.

    Args:
        sensor: the record that the pair was simulated with.
        pair: from :func:`fusionbench.simulation.simulate_pair` with ``truth=True``.
        folder: made where it does not exist.
        stem: start of the names.

    Returns:
        the files written.

    Raises:
        DataError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [band.name for band in sensor.bands]
        written = [
            _geotiff(folder / f"{stem}_ms.tif", pair["ms"], sensor.gsd, names),
            _geotiff(folder / f"{stem}_pan.tif", pair["pan"], sensor.gsd / sensor.ratio, ["pan"]),
        ]
        for name, picture in previews(sensor, pair).items():
            written.append(folder / f"{stem}_{name}.png")
            imsave(written[-1], picture)
        written.append(folder / f"{stem}.json")
        written[-1].write_text(json.dumps(pair["meta"], indent=1) + "\n", encoding="utf-8")
    except (OSError, RasterioError) as error:
        raise DataError(f"out={folder}: cannot write there ({error})") from error
    return written


def _geotiff(path: Path, image: np.ndarray, gsd: float, names: list[str]) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=image.shape[0], height=image.shape[1], width=image.shape[2],
        dtype=image.dtype.name, crs=CRS.from_epsg(CRS_CODE), transform=from_origin(*ORIGIN, gsd, gsd),
        tiled=True, blockxsize=256, blockysize=256, compress="deflate", predictor=2,
    ) as file:  # fmt: skip
        file.write(image)
        for index, name in enumerate(names, 1):
            file.set_band_description(index, name)
    return path


def previews(sensor: Sensor, pair: dict[str, Any]) -> dict[str, np.ndarray]:
    """Pictures of a pair, [H, W, 3] uint8: true colour, PAN, the sharp reference, classes, height, shadow."""
    ms, pan = (torch.from_numpy(pair[name].astype(np.float32)) for name in ("ms", "pan"))
    truth = pair["truth"]
    limits = stretch_limits(ms[list(sensor.rgb)])
    height = truth["height"][::2, ::2]
    return {
        "ms": composite(ms, sensor.rgb, limits, 1.3).numpy(),
        "pan": composite(pan, [0], stretch_limits(pan), 1.3).numpy(),
        "truth": composite(torch.from_numpy(truth["reference"]), sensor.rgb, limits, 1.3).numpy(),
        "classes": PALETTE[truth["classes"][::2, ::2]],
        "height": _grey(height / max(float(height.max()), 1.0)),
        "shadow": _grey(1 - truth["shadow"][::2, ::2]),
    }


def _grey(share: np.ndarray) -> np.ndarray:
    return np.repeat((np.clip(share, 0, 1) * 255).astype(np.uint8)[..., None], 3, 2)
