"""Small georeferenced pairs and a fuser, for the tests of prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from torch import Tensor, nn

UTM = "EPSG:32650"
PAN_TRANSFORM = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 3_400_000.0)


class Fuser:
    """The part of a regime that prediction uses."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()

    def fuse(self, batch: dict[str, Any]) -> Tensor:
        return self.network(batch["lr"], batch["guide"])


def facts(bands: int = 4, ratio: int = 4, grid: str = "area") -> dict[str, Any]:
    return {"channels": {"lr": bands, "guide": 1}, "ratio": ratio, "grid": grid, "bits": 11, "sensor": "worldview3"}


def smooth(bands: int, height: int, width: int, phase: float = 0.0) -> np.ndarray:
    """A smooth image in DN, [bands, height, width] uint16; ``phase`` shifts it by that many px down and right."""
    i, j = np.meshgrid(np.arange(height) - phase, np.arange(width) - phase, indexing="ij")
    wave = np.sin(i / 9) * np.cos(j / 11)
    return np.stack([800 + 60 * b + 300 * wave for b in range(bands)]).astype(np.uint16)


def texture(bands: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(50, 1500, (bands, height, width)).astype(np.uint16)


def save(path: Path, array: np.ndarray, transform: Affine | None = None, crs: str | None = UTM, **extra: Any) -> Path:
    """Write [B,H,W] as a GeoTIFF."""
    bands, height, width = array.shape
    place = {} if transform is None else {"transform": transform, "crs": crs}
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=height, width=width, dtype=array.dtype, **place, **extra
    ) as target:
        target.write(array)
    return path


def save_pair(
    folder: Path,
    ms: np.ndarray,
    pan: np.ndarray,
    ratio: int = 4,
    offset: tuple[float, float] = (0.0, 0.0),
    **extra: Any,
) -> dict[str, Path]:
    """A pair on one map; the MS begins ``offset`` (rows, columns) PAN px after the PAN does."""
    moved = PAN_TRANSFORM * Affine.translation(offset[1], offset[0]) * Affine.scale(ratio)
    return {
        "lr": save(folder / "ms.tif", ms, moved, **extra),
        "guide": save(folder / "pan.tif", pan, PAN_TRANSFORM, **extra),
    }


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read()


class Exp(nn.Module):
    """EXP as a network: blind to the guide."""

    def __init__(self, ratio: int = 4, grid: str = "area") -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        from fusionbench.imaging import expand

        return expand(lr, self.ratio, self.grid)


class GuideOnly(nn.Module):
    """The guide in every band: shows where PAN pixels end up."""

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        return guide.expand(-1, lr.shape[1], -1, -1)


class SceneMean(nn.Module):
    """The guide plus the scene's mean: cannot be tiled."""

    tileable = False

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        return (guide + lr.mean(dim=(2, 3), keepdim=True)) / 2


def seeded(network: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    torch.manual_seed(0)
    return network(*args, **kwargs)
