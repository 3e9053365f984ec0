"""Memory-mapped arrays on disk, keyed by a fingerprint of what they were made from; safe when two runs build at once.

An entry is a folder of uncompressed ``.npy`` files with a ``meta.json`` that lists their sizes and checksums. It is
written beside its place and renamed into it, so an entry is whole or absent; one whose files do not match its
``meta.json`` is moved aside and built again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.errors import DataError

log = logging.getLogger(__name__)

BLOCK = 1 << 20  # bytes
WHOLE_FILE = 64 * BLOCK  # files up to this size are hashed whole
SAMPLES = 32  # blocks hashed of a larger one


@dataclass(frozen=True)
class Entry:
    """One entry of the cache.

    Args:
        folder: where its arrays lie.
        facts: what the builder noted (plain values).
        content: sha256 over the checksums of its arrays: equal for equal data, whenever and wherever built.
    """

    folder: Path
    facts: Mapping[str, Any]
    content: str

    def array(self, name: str) -> np.ndarray:
        """A memory-mapped, read-only array."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def has(self, name: str) -> bool:
        """Whether the entry holds an array of that name."""
        return (self.folder / f"{name}.npy").exists()


def digest(value: Any) -> str:
    """sha256 of a plain value's JSON form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file: its whole content up to 64 MB, else its size and 32 blocks spread over it."""
    size = path.stat().st_size
    total = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        if size <= WHOLE_FILE:
            while block := stream.read(BLOCK):
                total.update(block)
        else:
            for i in range(SAMPLES):
                stream.seek((size - BLOCK) * i // (SAMPLES - 1))
                total.update(stream.read(BLOCK))
    return total.hexdigest()


@lru_cache(maxsize=8)
def code_digest(modules: tuple[str, ...]) -> str:
    """sha256 of the source of modules and packages, found without importing them: new code, new entries."""
    total = hashlib.sha256()
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        places = spec.submodule_search_locations
        files = [Path(spec.origin)] if places is None else sorted(p for at in places for p in Path(at).rglob("*.py"))
        for file in files:
            total.update(file.read_bytes())
    return total.hexdigest()


def find(root: Path, key: str) -> Entry | None:
    """The entry of a key, or None where there is none; a damaged one is moved aside."""
    folder = root / key[:32]
    if not folder.is_dir():
        return None
    problem, meta = _verify(folder)
    if problem is None:
        return Entry(folder, meta["facts"], meta["content"])
    log.warning("cache entry %s is damaged (%s): it is built again", folder, problem)
    try:
        aside = folder.with_name(f"{folder.name}.damaged-{uuid.uuid4().hex[:8]}")
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    except FileNotFoundError:
        return None  # another run moved it first
    return None


def build(root: Path, key: str, write: Callable[[Path], Mapping[str, Any]]) -> Entry:
    """Build an entry, or take the one that another run finished meanwhile.

    Args:
        root: folder of the cache.
        key: hex digest of everything the entry depends on.
        write: writes ``.npy`` files into an empty folder and returns facts (plain values).

    Raises:
        DataError: the cache's folder cannot be written.
    """
    folder = root / key[:32]
    draft = root / f".{key[:32]}.{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        draft.mkdir(parents=True)
        facts = write(draft)
        files = {path.name: _file_facts(path) for path in sorted(draft.glob("*.npy"))}
        meta = {"facts": dict(facts), "files": files, "content": digest(files)}
        (draft / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise DataError(f"paths.cache={root}: cannot be written ({error}); name a folder with space") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    entry = find(root, key)
    if entry is None:
        raise DataError(f"paths.cache={root}: the entry {folder.name} was written but cannot be read back")
    return entry


def contents(entries: Iterable[Entry]) -> str:
    """One digest over the contents of several entries, in order."""
    return digest([entry.content for entry in entries])


def _file_facts(path: Path) -> dict[str, Any]:
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            total.update(block)
    return {"bytes": path.stat().st_size, "sha256": total.hexdigest()}


def _verify(folder: Path) -> tuple[str | None, dict[str, Any]]:
    """What is wrong with an entry (None: nothing) and its meta.json."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        for name, expected in meta["files"].items():
            path = folder / name
            if path.stat().st_size != expected["bytes"]:
                return f"{name} has {path.stat().st_size} bytes, expected {expected['bytes']}", meta
            if _file_facts(path)["sha256"] != expected["sha256"]:
                return f"{name} does not match its checksum", meta
        return None, {"facts": meta["facts"], "content": meta["content"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}", {}


def remember(root: Path, key: str, compute: Callable[[], Any]) -> Any:
    """A plain value computed once and kept as JSON in the cache."""
    path = root / f"{key[:32]}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        value = compute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        draft.write_text(json.dumps(value), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise DataError(f"paths.cache={root}: cannot be written ({error}); name a folder with space") from error
    return value
