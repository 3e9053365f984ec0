"""Samples under roles from cached parts: random aligned patches for training, whole scenes for validation and test.

A sample is a flat dict: tensors under roles, and the part's metadata (str or number) with ``scene``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from fusionbench.data.base import CachedPart
from fusionbench.errors import ConfigError, DataError

RolePart = CachedPart[Mapping[str, Any]]
KINDS = ("values", "labels", "mask")


@dataclass(frozen=True)
class Role:
    """How a role lies in a part.

    Args:
        array: name of the cached array [..., H, W], already free of NaN.
        step: target pixels per pixel of it (the ratio for ``lr``); 0: it is no map and is taken whole.
        kind: ``values``: float32, (x - offset) / scale; ``labels``: int64 as they are; ``mask``: bool.
        offset, scale: of values, the data card's.
    """

    array: str
    step: int = 1
    kind: str = "values"
    offset: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.scale == 0 or self.step < 0:
            raise ConfigError(f"role {self.array}: kind {self.kind}, scale {self.scale}, step {self.step} cannot be")

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """Stored numbers as the batch carries them."""
        if self.kind == "labels":
            return torch.from_numpy(np.asarray(values, np.int64))
        if self.kind == "mask":
            return torch.from_numpy(np.asarray(values, bool))
        return torch.from_numpy((np.asarray(values, np.float32) - np.float32(self.offset)) / np.float32(self.scale))


class RolePatches(Dataset):
    """Random patches of cached parts, aligned to the coarsest grid among the roles.

    Args:
        parts: scenes, or parts of scenes, all with the same arrays.
        roles: role -> how it lies in a part.
        patch: side in target pixels.
        per_epoch: number of patches called an epoch.

    Raises:
        ConfigError: the patch is no multiple of the coarsest step.
        DataError: no part is as large as a patch.
    """

    def __init__(self, parts: Sequence[RolePart], roles: Mapping[str, Role], patch: int, per_epoch: int) -> None:
        self.parts, self.roles, self.patch, self.per_epoch = list(parts), dict(roles), patch, per_epoch
        self.step = math.lcm(*(max(role.step, 1) for role in self.roles.values()))
        if patch % self.step:
            raise ConfigError(f"data.patch={patch}: a multiple of {self.step}, so that patches lie on all grids")
        self._places = [self._grid(part) for part in self.parts]
        self._ends = np.cumsum([rows * columns for rows, columns in self._places])
        self._arrays: dict[int, dict[str, np.ndarray]] = {}
        if not self.parts or self._ends[-1] == 0:
            sizes = ", ".join(f"{part.name} {target_size(part, self.roles)}" for part in self.parts) or "none"
            raise DataError(f"no training patch of {patch} px fits into the scenes: {sizes}; data.patch=<less>")

    def _grid(self, part: RolePart) -> tuple[int, int]:
        rows, columns = target_size(part, self.roles)
        return tuple(max((n - self.patch) // self.step + 1, 0) for n in (rows, columns))  # type: ignore[return-value]

    def __len__(self) -> int:
        return self.per_epoch

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    def item(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One random patch; every place of every scene is equally likely, ``index`` plays no part."""
        number = int(rng.integers(self._ends[-1]))
        i = int(np.searchsorted(self._ends, number, side="right"))
        number -= int(self._ends[i - 1]) if i else 0
        row, column = divmod(number, self._places[i][1])
        top, left = row * self.step, column * self.step
        arrays, sample = self._open(i), {}
        for name, role in self.roles.items():
            array = arrays[name]
            if role.step:
                up, across, side = top // role.step, left // role.step, self.patch // role.step
                array = array[..., up : up + side, across : across + side]
            sample[name] = role.tensor(array)
        return {**sample, **self.parts[i].facts, "scene": self.parts[i].name}

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.item(index, np.random.default_rng(index))

    def _open(self, i: int) -> dict[str, np.ndarray]:
        if i not in self._arrays:
            # a plain ndarray over the mapped file: slicing a memmap costs several times as much
            self._arrays[i] = {
                name: np.asarray(self.parts[i].entry.array(role.array)).view(np.ndarray)
                for name, role in self.roles.items()
            }
        return self._arrays[i]


class RoleScenes(Dataset):
    """Whole cached parts, one sample each.

    Args:
        parts: scenes, or parts of scenes.
        roles: role -> how it lies in a part.
    """

    def __init__(self, parts: Sequence[RolePart], roles: Mapping[str, Role]) -> None:
        self.parts, self.roles = list(parts), dict(roles)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        part = self.parts[index]
        sample = {name: role.tensor(np.array(part.entry.array(role.array))) for name, role in self.roles.items()}
        return {**sample, **part.facts, "scene": part.name}


def target_size(part: RolePart, roles: Mapping[str, Role]) -> tuple[int, int]:
    """Rows and columns of a part on the target grid, by its maps.

    Raises:
        DataError: maps that cover different ground.
    """
    sizes = {}
    for name, role in roles.items():
        if role.step:
            rows, columns = part.entry.array(role.array).shape[-2:]
            sizes[name] = (rows * role.step, columns * role.step)
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise DataError(f"{part.name}: the roles cover different ground (target pixels): {shown}")
    return next(iter(sizes.values()))
