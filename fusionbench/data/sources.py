"""Open a located collection: its native scenes, its ready test pairs, its files of patches. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusionbench.data import layouts
from fusionbench.data.readers.geotiff import RasterImage, check_georeference
from fusionbench.data.readers.hdf5 import Hdf5File, Hdf5Image, hdf5_keys
from fusionbench.data.readers.image import Image, ReadyScene, Scene, check_pair
from fusionbench.data.readers.mat import MatImage, mat_shapes, read_mat
from fusionbench.errors import DataError

PAIR_KEYS = ("ms", "pan")
REDUCED_KEYS = ("ms", "pan", "gt")


@dataclass
class Source:
    """What a collection holds for one data set.

    Args:
        scenes: native pairs, split and degraded by us.
        reduced: pairs degraded by their publishers, with reference.
        full: full-resolution pairs.
        train, val: files of ready reduced-resolution patches (keys ``gt``, ``ms``, ``pan``).
        notes: what a reader of the report should know.
    """

    scenes: list[Scene] = field(default_factory=list)
    reduced: list[ReadyScene] = field(default_factory=list)
    full: list[ReadyScene] = field(default_factory=list)
    train: Hdf5File | None = None
    val: Hdf5File | None = None
    notes: list[str] = field(default_factory=list)


def open_source(
    collection: str, root: Path, entry: Mapping[str, Any], bands: int, ratio: int, nodata: float | None = None
) -> Source:
    """Open a collection and check that its pairs belong together.

    Args:
        collection: a key of the card's ``collections``.
        root: folder that `locate` found.
        entry: the card's entry (``code`` or ``folder`` where the layout has one).
        bands: MS bands.
        ratio: PAN pixels per MS pixel.
        nodata: value that marks missing pixels where the files do not say so.

    Raises:
        DataError: nothing there any more, a file unreadable, a pair that does not fit.
    """
    if collection not in OPENERS:
        raise DataError(f"data.collection={collection}: cannot be opened; known are {', '.join(OPENERS)}")
    source = OPENERS[collection](root, entry, nodata)
    if not (source.scenes or source.reduced or source.full or source.train):
        raise DataError(
            f"{root}: no files of collection {collection} any more; they were there when the run was set up"
        )
    for scene in source.scenes:
        check_pair(scene.name, scene.ms, scene.pan, bands, ratio)
        if isinstance(scene.ms, RasterImage) and isinstance(scene.pan, RasterImage):
            check_georeference(scene.name, scene.ms, scene.pan)
    for ready in (*source.reduced, *source.full):
        check_pair(ready.name, ready.roles["lr"], ready.roles["guide"], bands, ratio)
        target = ready.roles.get("target")
        expected = (bands, *ready.roles["guide"].shape[1:])
        if target is not None and target.shape != expected:
            raise DataError(f"scene {ready.name}: reference {target.path} is {target.shape}, expected {expected}")
    for file in filter(None, (source.train, source.val)):
        _check_patches(file, bands, ratio)
    return source


def _check_patches(file: Hdf5File, bands: int, ratio: int) -> None:
    rows, columns = file.shapes["gt"][2:]
    expected = {
        "gt": (bands, rows, columns),
        "pan": (1, rows, columns),
        "ms": (bands, rows // ratio, columns // ratio),
    }
    got = {key: file.shapes[key][1:] for key in expected}
    if got != expected:
        raise DataError(f"{file.path}: patches are {got}, expected {expected} (channels.lr={bands}, ratio {ratio})")


def _ready(name: str, lr: Image, guide: Image, target: Image | None = None, bits: int | None = None) -> ReadyScene:
    roles = {"lr": lr, "guide": guide}
    return ReadyScene(name, roles if target is None else {**roles, "target": target}, bits)


def _pancollection(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    files = layouts.pancollection_files(root, str(entry["code"]))
    source = Source()
    for role in ("train", "val"):
        if len(files[role]) > 1:
            found = ", ".join(str(path) for path in files[role])
            raise DataError(f"several {role} files of {entry['code']}: {found}; name one folder with data.root")
        if files[role]:
            setattr(source, role, Hdf5File(files[role][0], REDUCED_KEYS))
    for path in files["test"]:
        has_reference = "gt" in hdf5_keys(path)
        file = Hdf5File(path, REDUCED_KEYS if has_reference else PAIR_KEYS)
        target_set = source.reduced if has_reference else source.full
        for i in range(len(file)):
            target = Hdf5Image(file, "gt", i) if has_reference else None
            target_set.append(
                _ready(f"{path.stem}-{i:02d}", Hdf5Image(file, "ms", i), Hdf5Image(file, "pan", i), target)
            )
    source.notes.append("Training and validation patches overlap by 16 px as published (one random permutation).")
    return source


def _nbu(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    folders = [layouts.child(root, name) for name in ("MS_256", "PAN_1024")]
    by_number = [
        {int(path.stem): path for path in layouts.children(folder, (".mat",)) if path.stem.isdigit()}
        for folder in folders
        if folder is not None
    ]
    if len(by_number) != 2:
        raise DataError(f"{root}: the folders MS_256 and PAN_1024 are expected")
    ms, pan = by_number
    alone = sorted(ms.keys() ^ pan.keys())
    if alone:
        raise DataError(f"{root}: without a partner in the other folder: {', '.join(f'{n}.mat' for n in alone[:10])}")
    return Source(
        scenes=[Scene(f"{n:04d}", MatImage(ms[n], nodata=nodata), MatImage(pan[n], nodata=nodata)) for n in sorted(ms)]
    )


def _pairmax(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    source = Source()
    for scene in layouts.pairmax_scenes(root, str(entry["code"])):
        for kind, target_set in (("RR", source.reduced), ("FR", source.full)):
            folder = layouts.child(scene, kind)
            if folder is None:
                continue
            files = {path.stem.lower(): path for path in layouts.children(folder, layouts.RASTER_SUFFIXES)}
            wanted = ("ms_lr", "pan", "gt") if kind == "RR" else ("ms_lr", "pan")
            missing = [name.upper() + ".tif" for name in wanted if name not in files]
            if missing:
                raise DataError(f"{folder}: {', '.join(missing)} missing")
            images = [RasterImage(files[name], nodata) for name in wanted]
            target_set.append(_ready(scene.name, images[0], images[1], images[2] if kind == "RR" else None))
    return source


def _mat_bits(path: Path) -> int | None:
    value = read_mat(path, only=("L",)).get("L")
    return None if value is None else int(value.flat[0])


def _grip(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    return Source(
        scenes=[
            Scene(path.stem, MatImage(path, "I_MS", nodata), MatImage(path, "I_PAN", nodata), _mat_bits(path))
            for path in layouts.mat_scenes(root, *layouts.GRIP_VARIABLES)
        ]
    )


def _dlpan_mat(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    source = Source()
    for path in layouts.mat_scenes(root, layouts.DLPAN_VARIABLES):
        has_reference = "I_GT" in mat_shapes(path)
        target = MatImage(path, "I_GT", nodata) if has_reference else None
        pair = MatImage(path, "I_MS_LR", nodata), MatImage(path, "I_PAN", nodata)
        (source.reduced if has_reference else source.full).append(_ready(path.stem, *pair, target, _mat_bits(path)))
    return source


def _folder(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    pairs, alone = layouts.geotiff_pairs(root)
    if alone:
        raise DataError(
            f"{root}: no partner for {', '.join(str(path.relative_to(root)) for path in alone[:10])}; "
            "PAN and MS of a scene share the rest of their name (a-pan.tif and a-mul.tif, pan/a.tif and ms/a.tif)"
        )
    return Source(
        scenes=[Scene(name, RasterImage(ms, nodata), RasterImage(pan, nodata)) for name, pan, ms in pairs],
        notes=["Images without a reference system in both files are taken to cover the same area."],
    )


def _gf2(root: Path, entry: Mapping[str, Any], nodata: float | None) -> Source:
    source = Source(notes=["The tiles' georeference is a placeholder and is not used."])
    for name, files in layouts.numbered_tiles(root):
        lr, guide = RasterImage(files["lr"], nodata), RasterImage(files["pan"], nodata)
        if "mul" in files:
            source.reduced.append(_ready(name, lr, guide, RasterImage(files["mul"], nodata)))
        else:
            source.full.append(_ready(name, lr, guide))
    return source


OPENERS: dict[str, Callable[[Path, Mapping[str, Any], float | None], Source]] = {
    "pancollection": _pancollection,
    "nbu": _nbu,
    "pairmax": _pairmax,
    "grip": _grip,
    "dlpan_mat": _dlpan_mat,
    "folder": _folder,
    "gf2": _gf2,
}
