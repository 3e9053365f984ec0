"""Windows around labelled pixels for training, whole rasters with labels for validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fusionbench.data.base import CachedPart
from fusionbench.errors import ConfigError

PADDINGS = ("symmetric", "zero")
AUGMENTATIONS = ("none", "flips", "stored")
ScenePart = CachedPart[Mapping[str, Any]]


@dataclass(frozen=True)
class Scale:
    """Affine map of one role's bands, and where there is one a projection behind it.

    Args:
        offset, scale: [B]; x' = (x - offset) / scale.
        axes: [K,B] principal axes, and ``spread`` [K], by which the scores are divided; None: none.
    """

    offset: np.ndarray
    scale: np.ndarray
    axes: np.ndarray | None = None
    spread: np.ndarray | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """[B,...] -> [B,...] or [K,...], float32."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        scaled = (np.asarray(values, np.float32) - self.offset.reshape(shape)) / self.scale.reshape(shape)
        if self.axes is None or self.spread is None:
            return scaled.astype(np.float32)
        scores = np.tensordot(self.axes, scaled, axes=1) / self.spread.reshape(shape)
        return scores.astype(np.float32)


def continued(values: np.ndarray, half: int, padding: str) -> np.ndarray:
    """[B,H,W] continued by ``half`` pixels on each side, mirrored with the edge (``symmetric``) or with zeros."""
    if half == 0:
        return values
    return np.pad(values, ((0, 0), (half, half), (half, half)), "symmetric" if padding == "symmetric" else "constant")


class PixelWindows(Dataset):
    """Windows around the labelled pixels of scenes, in raster order of each scene.

    Args:
        parts: scenes.
        labels: class indices [H,W] of each, -1 for pixels that do not count.
        scales: of each scene, role -> `Scale`; its keys are the roles of a sample.
        window: side p, odd.
        padding: ``symmetric`` or ``zero`` (after scaling), beyond the edges.
        augment: ``none``; ``flips``: half the windows flipped along either axis with even odds, half of the rest turned
            by a multiple of 90 degrees (Fang et al. 2022); ``stored``: each pixel four times: as it is, upside down,
            mirrored with noise, turned (Xu et al. 2018).
        noise: role -> deviation of that noise.

    Raises:
        ConfigError: an even window, unknown padding or augmentation.
    """

    def __init__(
        self,
        parts: Sequence[ScenePart],
        labels: Sequence[np.ndarray],
        scales: Sequence[Mapping[str, Scale]],
        window: int,
        padding: str = "symmetric",
        augment: str = "none",
        noise: Mapping[str, float] | None = None,
    ) -> None:
        if window < 1 or window % 2 == 0:
            raise ConfigError(f"data.window={window}: odd, so that a pixel stands in the middle")
        if padding not in PADDINGS or augment not in AUGMENTATIONS:
            raise ConfigError(
                f"data.padding={padding}, data.augment={augment}: {' or '.join(PADDINGS)}; {', '.join(AUGMENTATIONS)}"
            )
        self.parts, self.scales, self.window, self.padding = list(parts), list(scales), window, padding
        self.augment, self.noise = augment, dict(noise or {})
        found = [
            np.column_stack([np.full(len(places), i), places, chosen[tuple(places.T)]])
            for i, chosen in enumerate(labels)
            for places in [np.argwhere(chosen >= 0)]
        ]
        self.places = np.concatenate(found) if found else np.zeros((0, 4), np.int64)
        self._rasters: dict[tuple[int, str], Tensor] = {}

    @property
    def labels(self) -> np.ndarray:
        """Class indices of all pixels [n]."""
        return self.places[:, 3]

    def __len__(self) -> int:
        return len(self.places) * (4 if self.augment == "stored" else 1)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rasters": {}}

    def _cut(self, number: int) -> dict[str, Tensor]:
        i, row, column, _ = self.places[number].tolist()
        p = self.window
        return {role: self._raster(i, role)[:, row : row + p, column : column + p] for role in self.scales[i]}

    def _raster(self, i: int, role: str) -> Tensor:
        """A scene's role, scaled and continued beyond its edges, kept in memory."""
        if (i, role) not in self._rasters:
            scaled = self.scales[i][role](np.asarray(self.parts[i].entry.array(role)))
            self._rasters[i, role] = torch.from_numpy(continued(scaled, self.window // 2, self.padding))
        return self._rasters[i, role]

    def item(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One window under roles, ``target`` its pixel's class, ``scene``."""
        number, version = index % len(self.places), index // len(self.places)
        windows = self._changed(self._cut(number), version, rng)
        return {**windows, "target": int(self.places[number, 3]), "scene": self.parts[self.places[number, 0]].name}

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.item(index, np.random.default_rng(index))

    def _changed(self, windows: dict[str, Tensor], version: int, rng: np.random.Generator) -> dict[str, Tensor]:
        if self.augment == "flips":
            if rng.random() < 0.5:
                axes = [axis for axis in (-2, -1) if rng.random() < 0.5]
                return {role: torch.flip(x, axes) for role, x in windows.items()}
            turns = int(rng.integers(1, 4)) if rng.random() < 0.5 else 0
            return {role: torch.rot90(x, turns, (-2, -1)) for role, x in windows.items()}
        if version == 1:
            return {role: torch.flip(x, [-2]) for role, x in windows.items()}
        if version == 2:
            noisy = {
                role: x + torch.from_numpy(rng.normal(0, self.noise.get(role, 0.0), x.shape).astype(np.float32))
                for role, x in windows.items()
            }
            return {role: torch.flip(x, [-1]) for role, x in noisy.items()}
        if version == 3:
            turns = int(rng.integers(0, 4))
            return {role: torch.rot90(x, turns, (-2, -1)) for role, x in windows.items()}
        return windows

    def centres(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """All pixels themselves: role -> [n,B] float32, and their classes [n]."""
        found: dict[str, list[np.ndarray]] = {}
        for i, part in enumerate(self.parts):
            rows, columns = self.places[self.places[:, 0] == i, 1:3].T
            for role, scale in self.scales[i].items():
                found.setdefault(role, []).append(scale(part.entry.array(role)[:, rows, columns]).T)
        return {role: np.concatenate(x) for role, x in found.items()}, self.labels


class LabelledScenes(Dataset):
    """Whole scenes: rasters under roles, ``target`` class indices [H,W], ``asked`` [1,H,W], how windows are cut.

    Args:
        parts, labels, scales: see `PixelWindows`.
        everywhere: every pixel is asked for, so that whole maps can be drawn; else the labelled ones.
        facts: metadata of every sample.
    """

    def __init__(
        self,
        parts: Sequence[ScenePart],
        labels: Sequence[np.ndarray],
        scales: Sequence[Mapping[str, Scale]],
        everywhere: bool,
        facts: Mapping[str, Any],
    ) -> None:
        self.parts, self.labels, self.scales = list(parts), list(labels), list(scales)
        self.everywhere, self.facts = everywhere, dict(facts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        part, labels = self.parts[index], self.labels[index].astype(np.int64)
        rasters = {
            role: torch.from_numpy(scale(np.asarray(part.entry.array(role))))
            for role, scale in self.scales[index].items()
        }
        asked = np.ones_like(labels, bool) if self.everywhere else labels >= 0
        return {
            **rasters,
            "target": torch.from_numpy(labels),
            "asked": torch.from_numpy(asked)[None],
            **self.facts,
            **part.facts,
            "scene": part.name,
        }
