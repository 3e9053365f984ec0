"""What a data module read, in plain values: scenes, shifts, missing pixels, ground shared between its parts."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusionbench.data import cache
from fusionbench.data.overlap import TILE, Overlap, find_overlap
from fusionbench.data.parts import identity, scene_shift
from fusionbench.data.readers.hdf5 import Hdf5File
from fusionbench.data.readers.image import whole
from fusionbench.data.split import SUBSETS

if TYPE_CHECKING:
    from fusionbench.data.spatiospectral import SpatioSpectralDataModule

log = logging.getLogger(__name__)

PATCHES_CHECKED = 500  # of a published training file, when a run sets up; `fusionbench data check` reads all
MS_TILE = 16  # px of MS: as much ground as 64 px of PAN


def overlaps(data: SpatioSpectralDataModule, every_patch: bool = False) -> list[Overlap]:
    """Ground that training or validation shares with testing, or training with validation, by tiles of raw pixels.

    Args:
        data: its parts are built where the cache does not hold them.
        every_patch: look at every patch of a published training file, not at a sample of them.
    """
    if data.source.train is not None:
        return _patch_overlaps(data, data.source.train, every_patch)
    found: list[Overlap] = []
    for array, tile in (("pan", TILE), ("ms", MS_TILE)):
        train, val, test = (_images(data, subset, array) for subset in SUBSETS)
        found += find_overlap([*test, *val], train, tile) + find_overlap(test, val, tile)
    return found


def _images(data: SpatioSpectralDataModule, subset: str, array: str) -> list[tuple[str, np.ndarray]]:
    if array == "pan" and data.align == "global":  # the parts hold moved pixels, these are the raw ones
        scenes = {scene.name: scene.pan for scene in data.source.scenes}
        windows = [(piece.name, piece.scene, piece.window.times(data.ratio)) for piece in data.split.of(subset)]
        return [(f"{subset} {name}", scenes[scene].read(window)[0]) for name, scene, window in windows]
    return [(f"{subset} {part.name}", part.entry.array(array)) for part in data.parts(subset)]


def _patch_overlaps(data: SpatioSpectralDataModule, file: Hdf5File, every: bool) -> list[Overlap]:
    targets = [(ready.name, ready.roles["target"]) for ready in data.source.reduced]
    count = len(file) if every else min(len(file), PATCHES_CHECKED)
    numbers = np.linspace(0, len(file) - 1, count).astype(int)
    patches = ((f"train patch {i}", file.read("gt", i)) for i in numbers)
    return find_overlap([(name, image.read(whole(image))[0]) for name, image in targets], patches)


def shared_ground(name: str, found: Sequence[str]) -> str:
    """The message for parts of a data set that share ground."""
    return (
        f"data={name}: training, validation and test scenes share ground, so test scores would mean nothing: "
        f"{'; '.join(found[:3])}{' and more' if len(found) > 3 else ''}. Give these scenes to one side "
        "(data.split.test, data.split.val), or remove the duplicate"
    )


def shifts(data: SpatioSpectralDataModule) -> list[dict[str, Any]]:
    """Estimated PAN-MS shift of every loaded part and every ready test pair, in PAN pixels."""
    rows = [
        {"scene": part.name, "set": subset, **part.entry.facts["shift"]}
        for subset, parts in data.loaded.items()
        for part in parts
    ]
    for name in ("reduced", "full"):
        for ready in getattr(data.source, name):
            lr, guide = ready.roles["lr"], ready.roles["guide"]
            shift = scene_shift(data.cache, [identity(lr), identity(guide)], lr, guide, data.ratio, data.grid)
            rows.append({"scene": ready.name, "set": name, **shift})
    return rows


def summary(data: SpatioSpectralDataModule) -> dict[str, Any]:
    """What was read, in plain values, for the report: source, split, scenes with sizes, shifts, missing pixels."""
    loaded = [(subset, part) for subset, parts in data.loaded.items() for part in parts]
    scenes = [
        {
            "scene": part.name,
            "set": subset,
            "window": part.entry.facts["window"],
            "bits": part.facts.bits,
            **{f"{image}_{key}": value for image in ("ms", "pan") for key, value in part.entry.facts[image].items()},
            "shift": part.entry.facts["shift"],
        }
        for subset, part in loaded
    ]
    patches = {s: len(file) for s, file in (("train", data.source.train), ("val", data.source.val)) if file is not None}
    missing = {part.name: {i: part.entry.facts[i]["missing"] for i in ("ms", "pan")} for _, part in loaded}
    return {
        "data": data.name,
        "simulated": data.simulated,
        "collection": data.collection,
        "root": data.root,
        "sensor": data.sensor["name"],
        "bits": data.bits,
        "ratio": data.ratio,
        "grid": data.grid,
        "align": data.align,
        "augment": data.augment,
        "gains": list(data.gains),
        "split": {"rule": data.split.rule, "settings": vars(data.settings)},
        "scenes": scenes,
        "ready": {name: [ready.name for ready in getattr(data.source, name)] for name in ("reduced", "full")},
        "patches": patches,
        "shifts": shifts(data),
        "missing_pixels": {name: shares for name, shares in missing.items() if any(shares.values())},
        "fill": "missing pixels take the value of the nearest valid pixel; they count in no loss and no index",
        "simulation": data.simulation if data.simulated else None,
        "contents": {s: cache.contents(part.entry for part in parts) for s, parts in data.loaded.items()},
        "fingerprint": data.fingerprint,
        "notes": list(data.source.notes),
    }


def report(data: SpatioSpectralDataModule) -> None:
    """Leave `summary` in the run folder as ``data.json``, and say where pixels are missing."""
    found = summary(data)
    for scene, shares in found["missing_pixels"].items():
        log.warning(
            "%s: %.2f %% of MS and %.2f %% of PAN pixels have no data; they count in no loss and no index",
            scene,
            100 * shares["ms"],
            100 * shares["pan"],
        )
    if data.run_dir is not None:
        data.run_dir.mkdir(parents=True, exist_ok=True)
        (data.run_dir / "data.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
