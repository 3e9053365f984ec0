"""Data sets of the simulated world with labels: classification by several modalities, unmixing, target extraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.sensors import Band, Sensor, load_sensor
from fusionbench.simulation.labels import (
    LEGENDS,
    abundances,
    end_members,
    facts,
    group_of,
    label_map,
    label_regions,
    masks,
    separated,
)
from fusionbench.simulation.lidar import simulate_lidar
from fusionbench.simulation.noise import stream
from fusionbench.simulation.radar import simulate_polsar, simulate_sar
from fusionbench.simulation.scene import Scene
from fusionbench.simulation.spectral import mean, noisy, observe_bands, scene_for, whole

FINER = 4  # scene pixels per pixel of the labels: so pixels mix
SNR_HS, SNR_MS = (80.0, 250.0), (100.0, 200.0)
CLEAR, DIM = 0.7, 0.6  # of a pixel must belong to its class, and may lie in shadow, where a map maker labels it
MODALITIES = ("lidar", "ms", "sar", "polsar")
MS_LEFT_OUT = ("water_vapour", "cirrus", "coastal")
AERIAL = ("quickbird", ("red", "green", "blue", "nir"))
END_MEMBERS = ("tree", "grass", "soil", "road", "roof", "water", "pavement", "crop", "shrub", "vehicle")


def simulate_classes(
    hs: Sensor | Sequence[Band],
    seed: int,
    size: int,
    legend: str = "cover15",
    modalities: Sequence[str] = ("lidar",),
    gsd: float | None = None,
    day: int | None = None,
    snr: float | None = None,
    labelled: float = 0.3,
    finer: int = FINER,
) -> dict[str, Any]:
    """A HS image, further modalities on its grid, and labels of some regions.

    Args:
        hs: HS sensor, or B bands.
        seed: 0 or above; seed modulo 4 chooses the landscape (see ``scene.LANDSCAPES``): not every class is everywhere.
        size: px in one direction.
        legend: key of ``labels.LEGENDS``.
        modalities: of MODALITIES.
        gsd: m; None: the HS sensor's.
        day: of the year; None: drawn.
        snr: of HS, per band; None: drawn per band, 80..250.
        labelled: share of the pixels with a label, about.
        finer: scene pixels per pixel.

    Returns:
        ``hs`` [B, n, n] DN of 1e-4 reflectance; ``lidar`` [2, n, n] first-return height in m and intensity 0..1 with
        ``ndsm`` [1, n, n] m (true) and ``valid_lidar`` [1, n, n] uint8; ``ms`` [10, n, n] DN, Sentinel-2 bands blurred
        as if seen at twice the GSD; ``sar`` [2, n, n] dB; ``polsar`` [4, n, n] (see ``radar``); ``labels``, ``train``,
        ``test`` int16 [n, n], -1 none (train and test from different regions); ``regions`` int32 [n, n], 0
        none; ``names``; ``wavelengths`` [B] nm; ``meta``.

    Raises:
        ConfigError: an unknown legend or modality, HS bands without a GSD.
    """
    bands, gsd = _bands_and_gsd(hs, gsd)
    wrong = [name for name in modalities if name not in MODALITIES]
    if wrong or legend not in LEGENDS:
        raise ConfigError(
            f"{', '.join([*wrong, legend])}: modalities are {', '.join(MODALITIES)}, legends {', '.join(LEGENDS)}"
        )
    scene = scene_for(seed, size, gsd, finer, day, scale=natural(gsd))
    rng = stream(seed, f"classes {legend}")
    made: dict[str, Any] = {"hs": _hs(scene, bands, gsd, size, snr)}
    meta = facts(scene) | {"gsd": gsd, "legend": legend}
    for name in modalities:
        found, told = _modality(scene, name, gsd, size)
        made |= found
        meta |= {f"{name}_{key}": value for key, value in told.items()}
    seen = label_map(scene, gsd, size, legend, CLEAR)
    seen[mean(scene.shadow, whole(gsd / scene.pixel))[:size, :size] > DIM] = -1
    kept, regions = label_regions(seen, labelled, rng)
    train, test = separated(kept, regions, rng)
    return made | {
        "labels": kept, "regions": regions, "train": train, "test": test, "names": LEGENDS[legend],
        "wavelengths": np.array([band.center for band in bands], np.float32), "meta": meta,
    }  # fmt: skip


def simulate_unmixing(
    hs: Sensor | Sequence[Band],
    seed: int,
    size: int,
    names: Sequence[str] = END_MEMBERS[:5],
    gsd: float | None = None,
    day: int | None = None,
    snr: float | None = None,
    finer: int = 8,
) -> dict[str, Any]:
    """A HS image with a LiDAR height and the abundances of groups of materials.

    Args:
        hs, seed, size, gsd, day, snr: as :func:`simulate_classes`.
        names: P classes of materials (``materials.CLASSES``); a pixel's other materials count for none of them, its
            abundances are those of the named ones made to sum to one.
        finer: scene pixels per pixel.

    Returns:
        ``hs`` [B, n, n] DN; ``height`` [1, n, n] m above the lowest returns around, from LiDAR; ``abundances``
        [P, n, n]; ``end_members`` [P, B] DN; ``covered`` [1, n, n] float32: what the named ones cover; ``names``;
        ``wavelengths``; ``meta``.
    """
    bands, gsd = _bands_and_gsd(hs, gsd)
    groups = group_of(names)
    scene = scene_for(seed, size, gsd, finer, day, scale=natural(gsd))
    held = abundances(scene, gsd, size, groups)
    covered = held.sum(0, keepdims=True)
    spread = np.where(covered > 1e-3, held / np.maximum(covered, np.float32(1e-3)), np.float32(1 / len(groups)))
    lidar = simulate_lidar(scene, gsd, size)
    return {
        "hs": _hs(scene, bands, gsd, size, snr), "height": above_ground(lidar["dsm"][0], gsd / scene.scale)[None],
        "abundances": spread.astype(np.float32), "covered": covered, "end_members": end_members(bands, groups),
        "names": tuple(names), "wavelengths": np.array([band.center for band in bands], np.float32),
        "meta": facts(scene) | {"gsd": gsd} | {f"lidar_{key}": value for key, value in lidar["meta"].items()},
    }  # fmt: skip


def simulate_extraction(
    seed: int, size: int, gsd: float = 0.5, target: str = "building", day: int | None = None
) -> dict[str, Any]:
    """An aerial image and LiDAR height with the mask of a target.

    Args:
        seed, size, day: as :func:`simulate_classes`.
        gsd: m.
        target: key of ``labels.MASKS``.

    Returns:
        ``optical`` [4, n, n] red, green, blue, near infrared, DN of 1e-4 reflectance; ``height`` [1, n, n] m above the
        ground as estimated from the LiDAR surface itself; ``dsm`` [1, n, n] m; ``mask`` [n, n] uint8; ``meta``.

    Raises:
        ConfigError: no such target.
    """
    scene = scene_for(seed, size, gsd, 2, day, scale=natural(gsd))
    every = masks(scene, gsd, size)
    if target not in every:
        raise ConfigError(f"target={target}: one of {', '.join(every)}")
    sensor = load_sensor(AERIAL[0])
    bands = [band for name in AERIAL[1] for band in sensor.bands if band.name == name]
    rng = stream(seed, "aerial image")
    image = noisy(observe_bands(scene, bands, gsd, size, product="radiance"), rng.uniform(*SNR_MS, len(bands)), rng)
    lidar = simulate_lidar(scene, gsd, size)
    return {
        "optical": image, "height": above_ground(lidar["dsm"][0], gsd / scene.scale)[None], "dsm": lidar["dsm"],
        "mask": every[target][0],
        "meta": facts(scene) | {"gsd": gsd, "target": target} | {f"lidar_{k}": v for k, v in lidar["meta"].items()},
    }  # fmt: skip


def natural(gsd: float) -> float:
    """Factor on the sizes of things: none up to 2.5 m, where a house still has pixels of its own."""
    return max(1.0, gsd / 2.5) ** 0.85


def above_ground(dsm: np.ndarray, gsd: float, reach: float = 40.0) -> np.ndarray:
    """Height above the lowest returns around: the surface minus its smoothed opening over ``reach`` m."""
    from scipy import ndimage

    width = max(3, round(reach / gsd) // 2 * 2 + 1)
    opened = ndimage.maximum_filter(ndimage.minimum_filter(dsm, width), width)
    floor = ndimage.uniform_filter(opened, width // 2)
    return np.asarray(np.maximum(dsm - np.minimum(floor, dsm), 0), np.float32)


def _bands_and_gsd(hs: Sensor | Sequence[Band], gsd: float | None) -> tuple[tuple[Band, ...], float]:
    if isinstance(hs, Sensor):
        return hs.bands, hs.gsd if gsd is None else gsd
    if gsd is None:
        raise ConfigError("simulate: a list of HS bands says no GSD: give gsd, in m")
    return tuple(hs), gsd


def _hs(scene: Scene, bands: Sequence[Band], gsd: float, size: int, snr: float | None) -> np.ndarray:
    rng = stream(scene.seed, f"hs noise {len(bands)}")
    drawn = rng.uniform(*SNR_HS, len(bands)) if snr is None else snr
    return noisy(observe_bands(scene, bands, gsd, size), drawn, rng)


def _modality(scene: Scene, name: str, gsd: float, size: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays of one further modality, and its facts."""
    if name == "lidar":
        lidar = simulate_lidar(scene, gsd, size)
        stack = np.concatenate([lidar["dsm"], lidar["intensity"]])
        return {"lidar": stack, "ndsm": lidar["ndsm"], "valid_lidar": lidar["valid"]}, lidar["meta"]
    if name == "ms":
        bands = [band for band in load_sensor("sentinel2").bands if band.name not in MS_LEFT_OUT]
        rng = stream(scene.seed, "ms noise")
        image = observe_bands(scene, bands, gsd, size, fwhm=2.0)
        return {"ms": noisy(image, rng.uniform(*SNR_MS, len(bands)), rng)}, {"sensor": "sentinel2"}
    made = simulate_sar(scene, gsd, size) if name == "sar" else simulate_polsar(scene, gsd, size)
    return {name: made["sar"]}, made["meta"]
