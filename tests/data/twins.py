"""Tiny twins of the published collections: the true file layout, names, variables and types, seeded pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from affine import Affine
from scipy.io import savemat

UTM = "EPSG:32650"


def pair(seed: int, bands: int = 4, size: int | tuple[int, int] = 32, ratio: int = 4, bits: int = 11) -> dict[str, Any]:
    """A pair that belongs together: ``ms`` [B, h, w] the block means of what ``pan`` [1, r h, r w] shows; uint16."""
    rows, columns = (size, size) if isinstance(size, int) else size
    rng = np.random.default_rng(seed)
    texture = rng.uniform(size=(rows * ratio, columns * ratio))
    for axis in (0, 1):  # a little smooth, so that there is something to register
        texture = (texture + np.roll(texture, 1, axis) + np.roll(texture, 2, axis)) / 3
    top = 2**bits - 1
    scene = top * (0.1 + 0.6 * texture)
    means = scene.reshape(rows, ratio, columns, ratio).mean((1, 3))
    gains = np.linspace(0.5, 1.2, bands)[:, None, None]
    ms = gains * means + rng.uniform(0, 0.02 * top, (bands, rows, columns))
    return {"ms": np.rint(ms).astype(np.uint16), "pan": np.rint(scene)[None].astype(np.uint16)}


def block_mean(image: np.ndarray, ratio: int) -> np.ndarray:
    """[C, H, W] -> [C, H/r, W/r], whole numbers."""
    bands, rows, columns = image.shape
    means = image.reshape(bands, rows // ratio, ratio, columns // ratio, ratio).mean((2, 4))
    return np.rint(means).astype(image.dtype)


def reduced(seed: int, bands: int = 4, size: int = 16, ratio: int = 4, bits: int = 11) -> dict[str, np.ndarray]:
    """A reduced-resolution triple: ``gt`` [B, r n, r n], ``ms`` [B, n, n], ``pan`` [1, r n, r n]."""
    native = pair(seed, bands, size * ratio, 1, bits)
    return {"gt": native["ms"], "ms": block_mean(native["ms"], ratio), "pan": native["pan"]}


# --- HDF5 ---


def patches(path: Path, count: int, bands: int = 8, size: int = 16, seed: int = 0, reference: bool = True) -> Path:
    """PanCollection's HDF5: gt, ms, lms, pan [N, C, H, W] in float64 digital numbers; no gt at full resolution."""
    path.parent.mkdir(parents=True, exist_ok=True)
    triples = [reduced(seed + i, bands, size) for i in range(count)]
    with h5py.File(path, "w") as file:
        for key in ("gt", "ms", "pan") if reference else ("ms", "pan"):
            file[key] = np.stack([triple[key] for triple in triples]).astype(np.float64)
        file["lms"] = np.stack([triple["ms"].repeat(4, 1).repeat(4, 2) for triple in triples]).astype(np.float64)
    return path


def pancollection(folder: Path, code: str = "wv3", bands: int = 8, train: int = 6) -> Path:
    """The four files of one sensor."""
    patches(folder / f"train_{code}.h5", train, bands)
    patches(folder / f"valid_{code}.h5", 2, bands, seed=100)
    patches(folder / f"test_{code}_multiExm1.h5", 2, bands, 32, seed=200)
    patches(folder / f"test_{code}_OrigScale_multiExm1.h5", 2, bands, 32, seed=300, reference=False)
    return folder


# --- MATLAB ---


def mat(path: Path, variables: Mapping[str, Any], version: str = "5") -> Path:
    """A MAT file; version 7.3 is HDF5 with reversed axes behind a 512-byte header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == "5":
        savemat(path, dict(variables))
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            file[name] = np.atleast_2d(np.asarray(value)).T
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path


def last(image: np.ndarray) -> np.ndarray:
    """[C, H, W] -> MATLAB's [H, W, C], or [H, W] of one channel."""
    return image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)


def grip(folder: Path, name: str = "imgWV2", bands: int = 8, size: Any = 48, bits: int = 11, seed: int = 0) -> Path:
    """One native scene in the toolbox's variable names."""
    scene = pair(seed, bands, size, 4, bits)
    if bits <= 8:
        scene = {key: value.astype(np.uint8) for key, value in scene.items()}
    variables = {"I_PAN": last(scene["pan"]), "I_MS": last(scene["ms"]), "ratio": 4, "L": bits, "sensor": "WV2"}
    return mat(folder / f"{name}.mat", variables)


def dlpan_mat(folder: Path, place: str = "Rio", code: str = "WV3", bands: int = 8) -> Path:
    """One reduced- and one full-resolution test image."""
    low, full = reduced(1, bands), pair(2, bands, 16)
    mat(
        folder / f"{place}_{code}_RR.mat",
        {"I_MS_LR": last(low["ms"]), "I_PAN": last(low["pan"]), "I_GT": last(low["gt"])},
    )
    mat(folder / f"{place}_{code}_FR.mat", {"I_MS_LR": last(full["ms"]), "I_PAN": last(full["pan"])}, "7.3")
    return folder


def nbu(base: Path, sensor: str = "6 WorldView-3", bands: int = 8, count: int = 5, size: int = 32) -> Path:
    """Numbered pairs, one array per file."""
    root = base / "NBU_PansharpRSData" / "1 Satellite_Dataset" / "Dataset" / sensor
    for number in range(1, count + 1):
        scene = pair(number, bands, size)
        mat(root / "MS_256" / f"{number}.mat", {"imgMS": last(scene["ms"])})
        mat(root / "PAN_1024" / f"{number}.mat", {"imgPAN": last(scene["pan"])})
    return root


# --- rasters ---


def raster(
    path: Path, image: np.ndarray, transform: Affine | None = None, crs: str | None = UTM, **options: Any
) -> Path:
    """[C, H, W] as a GeoTIFF; georeferenced where a transform is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, rows, columns = image.shape
    place = {} if transform is None else {"transform": transform, "crs": crs}
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=rows, width=columns, dtype=image.dtype, **place, **options
    ) as file:
        file.write(image)
    return path


def pairmax(base: Path, scene: str = "W3_Muni_Urb", bands: int = 8) -> Path:
    """One scene at full and at reduced resolution."""
    folder = base / "PAirMax" / scene
    full, low = pair(3, bands, 32), reduced(4, bands, 8)
    for kind, images in (("FR", {"MS_LR": full["ms"], "PAN": full["pan"]}), ("RR", {"MS_LR": low["ms"], **low})):
        images = {key: images[key] for key in ("MS_LR", "PAN", "GT", "pan", "gt") if key in images}
        for key, image in images.items():
            raster(folder / kind / f"{key.upper()}.tif", image)
        raster(folder / kind / "MS.tif", images["MS_LR"].repeat(4, 1).repeat(4, 2))
    return base / "PAirMax"


STYLES = {
    "folders": ("pan/{}.tif", "ms/{}.tif"),
    "words": ("{}-pan.tif", "{}-mul.tif"),
    "capitals": ("{}_PAN.TIF", "{}_MS.TIF"),
    "both": ("pan/{}-pan.tif", "ms/{}-mul.tif"),
}


def folder_pairs(
    folder: Path,
    names: Sequence[str] = ("a", "b", "c"),
    style: str = "both",
    bands: int = 4,
    size: Any = 32,
    georeferenced: bool = False,
    seeds: Sequence[int] | None = None,
    **options: Any,
) -> Path:
    """A user's own PAN and MS GeoTIFF files."""
    pan_name, ms_name = STYLES[style]
    for number, name in enumerate(names):
        scene = pair(number if seeds is None else seeds[number], bands, size)
        fine = Affine(0.5, 0, 500_000 + 1000 * number, 0, -0.5, 3_400_000) if georeferenced else None
        coarse = None if fine is None else fine * Affine.scale(4)
        raster(folder / pan_name.format(name), scene["pan"], fine, **options)
        raster(folder / ms_name.format(name), scene["ms"], coarse, **options)
    return folder


def gaofen2_tiles(folder: Path, count: int = 3) -> Path:
    """Numbered tiles at reduced and full resolution, with the derived files that lie beside them."""
    for number in range(count):
        low, full = reduced(10 + number, 4, 16, bits=10), pair(20 + number, 4, 16, bits=10)
        for kind, images in (
            (
                "test_low_res",
                {"lr": low["ms"], "mul": low["gt"], "pan": low["pan"], "pan_d": block_mean(low["pan"], 4)},
            ),
            ("test_full_res", {"lr": full["ms"], "pan": full["pan"], "pan_d": block_mean(full["pan"], 4)}),
        ):
            images["lr_u"] = images["lr"].repeat(4, 1).repeat(4, 2)
            for part, image in images.items():
                raster(folder / kind / f"{number}_{part}.tif", image)
    return folder
