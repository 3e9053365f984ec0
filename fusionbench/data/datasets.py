"""Samples for the loaders: random aligned patches of cached scenes, ready patches of HDF5 files, whole scenes.

A sample is a flat dict of tensors under roles (``lr`` [B, h, w], ``guide`` [1, H, W], ``target`` [B, H, W], float32 DN
over 2^bits - 1) and metadata (``scene``, ``sensor``, ``bits``, ``ratio``, ``gsd`` in metres on the target's grid).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from fusionbench.data.base import CachedPart
from fusionbench.data.cache import Entry
from fusionbench.data.protocol import read_filled
from fusionbench.data.readers.hdf5 import Hdf5File
from fusionbench.data.readers.image import ReadyScene, whole
from fusionbench.errors import DataError


@dataclass(frozen=True)
class Facts:
    """What every sample of a data set carries beside its tensors.

    Args:
        sensor: its name.
        bits: bit depth; tensors are divided by 2^bits - 1.
        ratio: PAN pixels per MS pixel.
        gsd_ms, gsd_pan: ground sampling distances in metres.
    """

    sensor: str
    bits: int
    ratio: int
    gsd_ms: float
    gsd_pan: float

    def metadata(self, scene: str, full: bool = False) -> dict[str, Any]:
        """Metadata of one sample; at full resolution the target's grid is PAN's."""
        gsd = self.gsd_pan if full else self.gsd_ms
        return {"scene": scene, "sensor": self.sensor, "bits": self.bits, "ratio": self.ratio, "gsd": np.float32(gsd)}

    def scaled(self, values: np.ndarray) -> torch.Tensor:
        """DN to float32 in units of the largest number of the bit depth; never clipped."""
        return torch.from_numpy(np.asarray(values, np.float32) / np.float32(2**self.bits - 1))


Part = CachedPart[Facts]  # arrays `ms`, `pan`, `lr`, `guide`, perhaps masks; each part with its own bit depth


class ScenePatches(Dataset):
    """Random patches of cached scenes at reduced or at full resolution, aligned to the low-resolution grid.

    Args:
        parts: scenes, or parts of scenes.
        patch: side in pixels of the target (of PAN), a multiple of the ratio.
        per_epoch: number of patches called an epoch.
        full: MS and PAN themselves, without a target, for methods that learn from the inputs alone.

    Raises:
        DataError: no part holds a patch without missing pixels.
    """

    def __init__(self, parts: Sequence[Part], patch: int, per_epoch: int, full: bool = False) -> None:
        self.parts, self.patch, self.per_epoch, self.full = list(parts), patch, per_epoch, full
        self._names = {"lr": "ms", "guide": "pan"} if full else {"lr": "lr", "guide": "guide", "target": "ms"}
        self._arrays: dict[int, dict[str, np.ndarray]] = {}
        self._places: list[np.ndarray | None] = []
        counts = []
        for part in self.parts:
            places, count = _patch_places(part, patch, full)
            self._places.append(places)
            counts.append(count)
        self._ends = np.cumsum(counts)
        if not counts or self._ends[-1] == 0:
            sizes = ", ".join(f"{part.name} {tuple(part.entry.array('ms').shape[1:])}" for part in self.parts) or "none"
            raise DataError(f"no training patch of {patch} px without missing pixels fits into the scenes: {sizes}")

    def __len__(self) -> int:
        return self.per_epoch

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    def item(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One random patch; every admissible position of every scene is equally likely.

        Args:
            index: not used: a position has no number.
            rng: the only source of randomness.
        """
        number = int(rng.integers(self._ends[-1]))
        i = int(np.searchsorted(self._ends, number, side="right"))
        number -= int(self._ends[i - 1]) if i else 0
        part, places = self.parts[i], self._places[i]
        ratio, size = part.facts.ratio, self.patch // part.facts.ratio
        arrays = self._open(i)
        if places is not None:
            number = int(places[number])
        row, column = divmod(number, arrays["lr"].shape[2] - size + 1)
        top, left, side = row * ratio, column * ratio, self.patch
        cuts = {
            role: array[:, row : row + size, column : column + size]
            if role == "lr"
            else array[:, top : top + side, left : left + side]
            for role, array in arrays.items()
        }
        return {
            **{role: part.facts.scaled(cut) for role, cut in cuts.items()},
            **part.facts.metadata(part.name, self.full),
        }

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.item(index, np.random.default_rng(index))

    def _open(self, i: int) -> dict[str, np.ndarray]:
        """Arrays of a part by role."""
        if i not in self._arrays:
            entry = self.parts[i].entry
            # a plain ndarray over the mapped file: slicing a memmap costs several times as much
            self._arrays[i] = {
                role: np.asarray(entry.array(name)).view(np.ndarray) for role, name in self._names.items()
            }
        return self._arrays[i]


def _patch_places(part: Part, patch: int, full: bool = False) -> tuple[np.ndarray | None, int]:
    """Admissible patch positions on the low-resolution grid (None: all of them), and how many there are."""
    ratio = part.facts.ratio
    size = patch // ratio
    rows, columns = (n - size + 1 for n in part.entry.array("ms" if full else "lr").shape[1:])
    if rows <= 0 or columns <= 0:
        return np.empty(0, np.int64), 0
    valid = full_mask(part.entry, ratio) if full else reduced_mask(part.entry, ratio)
    if valid is None:
        return None, rows * columns
    cells = valid[0].reshape(valid.shape[1] // ratio, ratio, -1, ratio).all(axis=(1, 3))
    bad = np.pad(np.cumsum(np.cumsum(~cells, axis=0), axis=1), ((1, 0), (1, 0)))
    inside = bad[size:, size:] - bad[:-size, size:] - bad[size:, :-size] + bad[:-size, :-size]
    places = np.flatnonzero(inside == 0)
    return places, len(places)


def reduced_mask(entry: Entry, ratio: int) -> np.ndarray | None:
    """Valid pixels [1, H, W] of the reduced-resolution target: reference, guide and the MS pixel below all valid."""
    return _masks(entry, ("valid_ms", "valid_guide"), "valid_lr", ratio)


def full_mask(entry: Entry, ratio: int) -> np.ndarray | None:
    """Valid pixels [1, H, W] at full resolution: PAN and the MS pixel below valid."""
    return _masks(entry, ("valid_pan",), "valid_ms", ratio)


def _masks(entry: Entry, fine: Sequence[str], coarse: str, ratio: int) -> np.ndarray | None:
    masks = [np.array(entry.array(name)) for name in fine if entry.has(name)]
    if entry.has(coarse):
        masks.append(entry.array(coarse).repeat(ratio, axis=1).repeat(ratio, axis=2))
    return np.logical_and.reduce(masks) if masks else None


class Hdf5Patches(Dataset):
    """Ready reduced-resolution patches of one HDF5 file (keys ``gt``, ``ms``, ``pan``), read one at a time.

    Args:
        file: opened once in every process.
        facts: metadata.
        name: prefix of the samples' scene names.
    """

    def __init__(self, file: Hdf5File, facts: Facts, name: str) -> None:
        self.file, self.facts, self.name = file, facts, name

    def __len__(self) -> int:
        return len(self.file)

    def item(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Patch `index`; nothing in it is random."""
        return self[index]

    def __getitem__(self, index: int) -> dict[str, Any]:
        read, scaled = self.file.read, self.facts.scaled
        return {
            "lr": scaled(read("ms", index)),
            "guide": scaled(read("pan", index)),
            "target": scaled(read("gt", index)),
            **self.facts.metadata(f"{self.name}-{index:05d}"),
        }


class WholeScenes(Dataset):
    """Whole cached scenes, one sample each, at reduced or at full resolution.

    Args:
        parts: scenes, or parts of scenes.
        full: full resolution (no target but the truth of simulated scenes, where a part holds it), else reduced.
    """

    def __init__(self, parts: Sequence[Part], full: bool) -> None:
        self.parts, self.full = list(parts), full
        mask = full_mask if full else reduced_mask
        self._masked = any(mask(part.entry, part.facts.ratio) is not None for part in self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        part = self.parts[index]
        names = {"lr": "ms", "guide": "pan"} if self.full else {"lr": "lr", "guide": "guide", "target": "ms"}
        if self.full and part.entry.has("truth"):
            names["target"] = "truth"
        sample: dict[str, Any] = {role: part.facts.scaled(part.entry.array(name)) for role, name in names.items()}
        if self.full:
            _crop(sample, part.facts.ratio)
        if self._masked:
            mask = (full_mask if self.full else reduced_mask)(part.entry, part.facts.ratio)
            rows, columns = sample["guide"].shape[1:]
            sample["valid"] = torch.ones(1, rows, columns, dtype=torch.bool)
            if mask is not None:
                sample["valid"] &= torch.from_numpy(mask[:, :rows, :columns])
        return {**sample, **part.facts.metadata(part.name, self.full)}


FULL_MULTIPLE = 32  # px of PAN: side of the blocks of QNR and HQNR (METRICS, section 2)


def _crop(sample: dict[str, Any], ratio: int) -> None:
    """Cut a full-resolution pair at the bottom and right so that PAN's sides are multiples of 32."""
    step = np.lcm(FULL_MULTIPLE, ratio)
    rows, columns = (n // step * step for n in sample["guide"].shape[1:])
    if rows == 0 or columns == 0:
        return
    for role in {"guide", "target"} & set(sample):
        sample[role] = sample[role][:, :rows, :columns].contiguous()
    sample["lr"] = sample["lr"][:, : rows // ratio, : columns // ratio].contiguous()


class ReadyScenes(Dataset):
    """Test pairs that their publishers prepared, read from their files.

    Args:
        scenes: pairs, with target (reduced resolution) or without.
        facts: metadata of each.
    """

    def __init__(self, scenes: Sequence[ReadyScene], facts: Sequence[Facts]) -> None:
        self.scenes, self.facts = list(scenes), list(facts)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        scene, facts = self.scenes[index], self.facts[index]
        sample: dict[str, Any] = {}
        masks: dict[str, np.ndarray | None] = {}
        for role, image in scene.roles.items():
            values, masks[role] = read_filled(image, whole(image))
            sample[role] = facts.scaled(values)
        rows, columns = sample["guide"].shape[1:]
        full = "target" not in sample
        sample["valid"] = torch.from_numpy(_ready_mask(masks, (rows, columns), facts.ratio))
        if full:
            _crop(sample, facts.ratio)
            sample["valid"] = sample["valid"][:, : sample["guide"].shape[1], : sample["guide"].shape[2]]
        return {**sample, **facts.metadata(scene.name, full)}


def _ready_mask(masks: Mapping[str, np.ndarray | None], size: tuple[int, int], ratio: int) -> np.ndarray:
    valid = np.ones(size, bool)
    for role, mask in masks.items():
        if mask is not None:
            valid &= mask.repeat(ratio, axis=0).repeat(ratio, axis=1) if role == "lr" else mask
    return valid[None]
