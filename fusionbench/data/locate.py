"""Where a data set's files lie, and what that settles: source, collection, pixel grid, bit depth. Torch-free."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusionbench.data.layouts import GRIP_VARIABLES, child, children, finder, mat_scenes, normalise, pancollection_files
from fusionbench.errors import ConfigError, DataNotFoundError

SOURCES = ("auto", "files", "simulated")
GRIDS = ("auto", "area", "dlpan")
ALIGNMENTS = ("none", "global")
SIMULATED = "simulated"  # the name of the collection when there are no files
SUBFIELDS = (
    "pansharpening", "hyperspectral", "spatiotemporal", "classification", "segmentation", "unmixing", "sar_optical",
    "geospatial_big_data",
)  # fmt: skip


@dataclass(frozen=True)
class Located:
    """Files found for a data set.

    Args:
        collection: name of the layout, a key of the card's ``collections``.
        root: folder that holds the files.
        grid: pixel grid of the collection, ``area`` or ``dlpan``; empty where its card does not state one.
        trainable: whether there is something to train on.
        bits: bit depth the files state, or None.
    """

    collection: str
    root: Path
    grid: str
    trainable: bool
    bits: int | None = None


def locate(data: Mapping[str, Any], root: Path | str) -> Located | None:
    """Look for a data set's files under ``root`` (``paths.data``), or under ``data.root`` where it is given.

    Args:
        data: the composed ``data`` config: ``card`` (with ``collections``), ``source``, ``collection``, ``root``.
        root: folder of the user's data sets.

    Returns:
        What was found, in the order of the card's collections, or None where there is nothing or ``source=simulated``.

    Raises:
        ConfigError: an unknown source or collection.
        DataNotFoundError: nothing there although ``source=files``, or ``data.root`` names a folder without its files.
    """
    source = _choice("data.source", data.get("source", "auto"), SOURCES)
    collections: Mapping[str, Any] = data["card"].get("collections") or {}
    wanted = _choice("data.collection", data.get("collection", "auto"), ("auto", SIMULATED, *collections))
    if source == SIMULATED or (wanted == SIMULATED and source == "auto"):
        return None
    names = list(collections) if wanted in ("auto", SIMULATED) else [wanted]
    own, bases = _folders(data, Path(root).expanduser())
    for name in names:
        folder = finder(name, collections[name])(own, bases, collections[name])
        if folder is not None:
            return _located(name, folder.resolve(), collections[name])
    if source == "files" or data.get("root") is not None or wanted not in ("auto", SIMULATED):
        raise DataNotFoundError(_not_found(data, names, own, bases))
    return None


def resolve_source(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Settle everything ``auto`` in a composed config: merge the result under ``data`` before it is written.

    Args:
        cfg: composed config with ``data`` and ``paths.data``.

    Returns:
        ``source`` (files | simulated), ``simulated`` (bool), ``collection``, ``root`` (str or None), ``trainable``
        (bool), and ``grid``, ``bits`` (int) where the data set has them: plain values.

    Raises:
        ConfigError: a value outside its choices.
        DataNotFoundError: see `locate`.
    """
    data = cfg["data"]
    found = locate(data, cfg["paths"]["data"])
    settled = {
        "source": SIMULATED if found is None else "files",
        "simulated": found is None,
        "collection": SIMULATED if found is None else found.collection,
        "root": None if found is None else str(found.root),
        "trainable": found is None or found.trainable,
    }
    if "grid" in data:
        grid = _choice("data.grid", data["grid"], GRIDS)
        settled["grid"] = grid if grid != "auto" else "area" if found is None else found.grid
    if "align" in data:
        _choice("data.align", data["align"], ALIGNMENTS)
    if "bits" in data:
        settled["bits"] = _bits(data, found)
    return settled


def _bits(data: Mapping[str, Any], found: Located | None) -> int:
    bits = data["bits"]
    if bits == "auto":
        stated = None if found is None else found.bits
        return int(data["sensor"]["bits"]) if stated is None else stated
    if not isinstance(bits, int) or not 1 <= bits <= 16:
        raise ConfigError(f"data.bits={bits!r}: a whole number from 1 to 16, or auto")
    return bits


def _choice(key: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ConfigError(f"{key}={value}: one of {', '.join(allowed)}")
    return str(value)


def _folders(data: Mapping[str, Any], root: Path) -> tuple[list[Path], list[Path]]:
    """Folders of this data set, and folders that hold folders of data sets."""
    if data.get("root") is not None:
        folder = Path(str(data["root"])).expanduser()
        return [folder], [folder]
    card = data["card"]
    subfields = {normalise(name) for name in SUBFIELDS}
    bases = [root, *(folder for folder in children(root) if normalise(folder.name) in subfields)]
    names = [str(card["id"]), str(card.get("name", card["id"])), *map(str, card.get("aliases") or ())]
    return [found for base in bases if (found := child(base, *names)) is not None], bases


def _located(name: str, folder: Path, entry: Mapping[str, Any]) -> Located:
    trainable, bits = bool(entry.get("trainable", True)), None
    if name == "pancollection":
        trainable = bool(pancollection_files(folder, str(entry["code"]))["train"])
    if name == "grip":
        bits = _grip_bits(folder)
    return Located(name, folder, str(entry.get("grid", "")), trainable, bits)


def _grip_bits(folder: Path) -> int | None:
    """Bit depth that MAT scenes state (variable ``L``); None where it is absent."""
    from fusionbench.data.readers.mat import read_mat

    values = [read_mat(path, only=("L",)).get("L") for path in mat_scenes(folder, *GRIP_VARIABLES)]
    stated = {int(value.flat[0]) for value in values if value is not None and value.size}
    return max(stated) if stated else None


def _not_found(data: Mapping[str, Any], names: Sequence[str], own: Sequence[Path], bases: Sequence[Path]) -> str:
    card = data["card"]
    if not names:
        return f"data={card['id']}: there are no files of it, it is simulated only (data.source=simulated)"
    places = list(dict.fromkeys([*own, *bases]))
    lines = [f"no files of {card.get('name', card['id'])} (data={card['id']}) found."]
    lines += ["Looked in: " + ", ".join(f"{place}{'' if place.is_dir() else ' (does not exist)'}" for place in places)]
    if not own:
        lines += [
            f"There is no folder named {card['id']} (or {', '.join(map(str, card.get('aliases') or ()))}) in them."
        ]
    lines += ["What would be found there, any one of:"]
    for name in names:
        entry = card["collections"][name]
        lines += [
            f"- {entry['title']} (data.collection={name}), {entry['size']}",
            f"    get it from: {entry['obtain']}",
            f"    licence: {entry['licence']}",
            textwrap.indent(layout(card, name).rstrip(), "    "),
        ]
    lines += [
        "<data> is paths.data (or the environment variable FUSIONBENCH_DATA); data.root=<folder> names one folder."
    ]
    if data.get("source") == "files":
        lines += ["data.source=simulated (or auto) would simulate the sensor instead."]
    return "\n".join(lines)


def layout(card: Mapping[str, Any], name: str) -> str:
    """The folder tree that a collection's files must have for this data set."""
    entry = card["collections"][name]
    text = str(entry["layout"])
    for key, value in {"id": card["id"], "code": entry.get("code", ""), "folder": entry.get("folder", "")}.items():
        text = text.replace("{" + key + "}", str(value))
    return text
