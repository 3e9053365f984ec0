"""How the published collections lay out their files, and how to find them. Torch-free, opens MAT headers at most.

A finder takes the folders a data set may lie in (`own`), the folders above them (`bases`) and the data card's entry for
the collection; it returns the folder that holds the files, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fusionbench.data.readers.mat import mat_shapes
from fusionbench.errors import DataError

RASTER_SUFFIXES = (".tif", ".tiff")
HDF5_SUFFIXES = (".h5", ".hdf5")
PAN_WORDS = ("pan",)
MS_WORDS = ("ms", "mul", "mss", "multi")

Entry = Mapping[str, Any]
Finder = Callable[[Sequence[Path], Sequence[Path], Entry], "Path | None"]


def normalise(name: str) -> str:
    """A name without case, spaces, underscores and hyphens."""
    return re.sub(r"[\s_\-]+", "", name).lower()


def children(folder: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    """Entries of a folder (subfolders, or files with one of the suffixes), sorted; empty where it cannot be listed."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    if suffixes:
        return [entry for entry in entries if entry.suffix.lower() in suffixes and entry.is_file()]
    return [entry for entry in entries if entry.is_dir()]


def child(folder: Path, *names: str) -> Path | None:
    """The subfolder whose normalised name is one of `names`, or None."""
    wanted = {normalise(name) for name in names}
    return next((entry for entry in children(folder) if normalise(entry.name) in wanted), None)


# --- PanCollection ---


def pancollection_files(folder: Path, code: str) -> dict[str, list[Path]]:
    """HDF5 files of one sensor by role (`train`, `val`, `test`), in a folder and the folders one or two below.

    Args:
        folder: where to look.
        code: the sensor's short name in file names (``wv3``).
    """
    roles = {"train": r"train", "val": r"valid|val", "test": r"test|testdata|reduced|full"}
    found: dict[str, list[Path]] = {role: [] for role in roles}
    folders = [folder, *children(folder), *(below for sub in children(folder) for below in children(sub))]
    for path in (path for place in folders for path in children(place, HDF5_SUFFIXES)):
        words = re.split(r"[_\-\s.]+", path.stem.lower())
        if code.lower() not in words:
            continue
        for role, pattern in roles.items():
            if re.fullmatch(pattern, words[0]):
                found[role].append(path)
    return found


def _find_pancollection(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    named = [child(base, "pancollection", "dlpan") for base in bases]
    for folder in (*own, *(folder for folder in named if folder is not None)):
        if any(pancollection_files(folder, str(entry["code"])).values()):
            return folder
    # beside other collections: only files directly in the folder, it may be large
    for base in bases:
        if any(
            str(entry["code"]).lower() in re.split(r"[_\-.]+", f.stem.lower()) for f in children(base, HDF5_SUFFIXES)
        ):
            return base
    return None


# --- NBU ---


def _find_nbu(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    sensor = str(entry["folder"])
    plain = sensor.split(" ", 1)[-1]
    for base in (*own, *bases):
        tops = [base, *filter(None, [child(base, "NBU_PansharpRSData", "nbu")])]
        tops += list(filter(None, [child(top, "1 Satellite_Dataset", "Satellite_Dataset") for top in list(tops)]))
        tops += list(filter(None, [child(top, "Dataset") for top in list(tops)]))
        for top in tops:
            for folder in filter(None, [child(top, sensor, plain), top]):
                if child(folder, "MS_256") is not None and child(folder, "PAN_1024") is not None:
                    if (
                        folder is top
                        and normalise(top.name) not in {normalise(sensor), normalise(plain)}
                        and top not in own
                    ):
                        continue
                    return folder
    return None


# --- PAirMax ---


def pairmax_scenes(folder: Path, code: str) -> list[Path]:
    """Scene folders ``<code>_<place>_<cover>`` that hold FR or RR."""
    return [
        scene
        for scene in children(folder)
        if scene.name.lower().startswith(code.lower() + "_")
        and (child(scene, "FR") is not None or child(scene, "RR") is not None)
    ]


def _find_pairmax(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    for folder in (*own, *filter(None, [child(base, "PAirMax") for base in bases])):
        if pairmax_scenes(folder, str(entry["code"])):
            return folder
    return None


# --- MAT scenes ---


def mat_scenes(folder: Path, required: Iterable[str], absent: Iterable[str] = ()) -> list[Path]:
    """MAT files of a folder that hold the required variables and none of the absent ones."""
    need, without = set(required), set(absent)
    files = []
    for path in children(folder, (".mat",)):
        try:
            names = mat_shapes(path).keys()
        except DataError:
            continue
        if need <= names and not without & names:
            files.append(path)
    return files


GRIP_VARIABLES = (("I_PAN", "I_MS"), ("I_MS_LR", "I_GT"))
DLPAN_VARIABLES = ("I_PAN", "I_MS_LR")


def _find_grip(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    return next((folder for folder in own if mat_scenes(folder, *GRIP_VARIABLES)), None)


def _find_dlpan_mat(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    return next((folder for folder in own if mat_scenes(folder, DLPAN_VARIABLES)), None)


# --- GeoTIFF pairs ---


def _kind(path: Path) -> tuple[str, str] | None:
    """(scene name, ``pan`` or ``ms``) of a GeoTIFF, from the end of its name or from its folder's name."""
    words = re.split(r"([_\-\s.])", path.stem)
    last, folder = words[-1].lower(), path.parent.name.lower()
    for kind, names in (("pan", PAN_WORDS), ("ms", MS_WORDS)):
        if last in names:
            return "".join(words[:-2]) or path.parent.name, kind
        if folder in names:
            return path.stem, kind
    return None


def geotiff_pairs(folder: Path) -> tuple[list[tuple[str, Path, Path]], list[Path]]:
    """PAN / MS GeoTIFF pairs of a folder: (scene, PAN file, MS file) sorted by scene, and files left without a partner.

    PAN and MS share the rest of their name: ``a-pan.tif`` and ``a-mul.tif``, ``a_PAN.tif`` and ``a_MS.tif``,
    ``pan/a.tif`` and ``ms/a.tif``.
    """
    found: dict[str, dict[str, Path]] = {}
    for place in (folder, *children(folder)):
        for path in children(place, RASTER_SUFFIXES):
            named = _kind(path)
            if named is not None:
                found.setdefault(named[0], {})[named[1]] = path
    pairs = [(scene, files["pan"], files["ms"]) for scene, files in sorted(found.items()) if len(files) == 2]
    alone = [path for files in found.values() if len(files) == 1 for path in files.values()]
    return pairs, sorted(alone)


def _find_folder(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    return next((folder for folder in own if geotiff_pairs(folder)[0]), None)


def numbered_tiles(folder: Path) -> list[tuple[str, dict[str, Path]]]:
    """Numbered Gaofen-2 tiles: (scene, files by part ``mul``, ``lr``, ``pan``) of a folder and the folders below."""
    scenes: dict[str, dict[str, Path]] = {}
    for place in (folder, *children(folder)):
        for path in children(place, RASTER_SUFFIXES):
            match = re.fullmatch(r"(\d+)_(mul|lr|pan)", path.stem.lower())
            if match:
                prefix = "" if place == folder else f"{place.name}-"
                scenes.setdefault(f"{prefix}{int(match[1]):03d}", {})[match[2]] = path
    return [(scene, files) for scene, files in sorted(scenes.items()) if {"lr", "pan"} <= files.keys()]


def _find_gf2(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    return next((folder for folder in own if numbered_tiles(folder)), None)


# --- any layout whose card lists its files ---


def find_files(own: Sequence[Path], bases: Sequence[Path], entry: Entry) -> Path | None:
    """The folder that holds all files of the entry's ``find`` (paths with * below it, names as `normalise` sees them).

    Looked for in the folders of the data set, then one and two folders further down. A list in ``find`` offers several
    names of one file.
    """
    for folder in own:
        for place in (folder, *children(folder), *(below for sub in children(folder) for below in children(sub))):
            if all(any(matching(place, name) for name in _several(names)) for names in entry["find"]):
                return place
    return None


def _several(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else [str(name) for name in names]


def matching(folder: Path, pattern: str) -> list[Path]:
    """Files and folders below ``folder`` that a pattern such as ``MODIS/*.tif`` names, sorted; case, spaces, hyphens
    and underscores do not count."""
    found = [folder]
    for part in pattern.split("/"):
        wanted = re.compile(".*".join(re.escape(normalise(piece)) for piece in part.split("*")))
        found = [entry for place in found for entry in _entries(place) if wanted.fullmatch(normalise(entry.name))]
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return []


def finder(name: str, entry: Entry) -> Finder:
    """How a collection's files are found: by its own rule, or by the files that its card lists.

    Raises:
        DataError: there is neither.
    """
    if name in FINDERS:
        return FINDERS[name]
    if "find" not in entry:
        raise DataError(f"card.collections.{name}: list its files under find, there is no rule of that name")
    return find_files


FINDERS: dict[str, Finder] = {
    "pancollection": _find_pancollection,
    "nbu": _find_nbu,
    "pairmax": _find_pairmax,
    "grip": _find_grip,
    "dlpan_mat": _find_dlpan_mat,
    "folder": _find_folder,
    "gf2": _find_gf2,
}
