"""The data module of simulated scenes whose truth is a map of classes or of numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusionbench.data import cache
from fusionbench.data.base import CachedPart, SceneDataModule
from fusionbench.data.parts import SIMULATION_CODE, Job
from fusionbench.data.roles import Role, RolePatches, RoleScenes

CODE = ("fusionbench.data.maps", "fusionbench.data.simulated_maps")
TARGET = "target"


@dataclass(frozen=True)
class WriteMaps:
    """Simulates the scene of a seed and writes its rasters and its target."""

    kind: str
    seed: int
    size: int
    gsd: float
    settings: Mapping[str, Any]

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``<role>.npy`` and ``target.npy``; return facts."""
        from fusionbench.data.simulated_maps import simulated_maps

        arrays = simulated_maps(self.kind, self.seed, self.size, self.gsd, self.settings)
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
        return {}


class MapDataModule(SceneDataModule[Mapping[str, Any]]):
    """Scenes with rasters under roles [B,H,W], and ``target``: numbers [1,H,W], or class indices [H,W].

    Training batches hold random patches of them, validation and test batches one scene.

    Args:
        name: the data set's id.
        roles: of the card.
        channels: bands of every role.
        values: role or ``target`` -> ``{offset, scale}``: x' = (x - offset) / scale; 0 and 1 where it is not named.
        labels: the target holds class indices.
        simulation: ``kind``, ``size`` px, ``gsd`` m, seeds ``train``, ``val``, ``test``, and what the kind takes.
        patch: side of training patches; patches_per_epoch: how many are called an epoch.
        batch_size, workers, augment, seed, cache, run_dir: see `SceneDataModule`.
    """

    def __init__(
        self,
        *,
        name: str,
        roles: Sequence[str],
        channels: Mapping[str, int],
        simulation: Mapping[str, Any],
        cache: str,
        values: Mapping[str, Mapping[str, Any]] | None = None,
        labels: bool = False,
        patch: int = 32,
        patches_per_epoch: int = 2000,
        batch_size: int = 16,
        workers: int = 0,
        augment: str = "none",
        seed: int = 0,
        run_dir: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            cache=Path(cache).expanduser() / "maps",
            batch_size=batch_size,
            seed=seed,
            workers=workers,
            run_dir=run_dir,
            augment="none" if labels else augment,
            what=f"simulating {name}",
            parallel=True,
        )
        self.check_seeds(simulation)
        self.labels, self.patch, self.patches_per_epoch = labels, patch, patches_per_epoch
        self.simulation, self.channels = dict(simulation), {role: int(count) for role, count in channels.items()}
        known = {role: dict(scaling) for role, scaling in (values or {}).items()}
        self.roles = {role: Role(role, **known.get(role, {})) for role in roles}
        self.all = self.roles | {
            TARGET: Role(TARGET, kind="labels") if labels else Role(TARGET, **known.get(TARGET, {}))
        }

    def jobs(self, subset: str) -> Sequence[tuple[Job, Mapping[str, Any]]]:
        """See `SceneDataModule.jobs`."""
        rest = {k: v for k, v in self.simulation.items() if k not in ("kind", "size", "gsd", "train", "val", "test")}
        rest |= {"roles": list(self.roles)}
        code, found = cache.code_digest((*CODE, *SIMULATION_CODE)), []
        for seed in self.simulation.get(subset) or ():
            kind, size, gsd = (self.simulation[key] for key in ("kind", "size", "gsd"))
            key = cache.digest({"kind": kind, "size": size, "gsd": gsd, "seed": seed, "rest": rest, "code": code})
            job = Job(f"{self.name}-{seed}", key, WriteMaps(kind, int(seed), int(size), float(gsd), rest))
            found.append((job, {"gsd": float(gsd)}))
        return found

    @property
    def fingerprint(self) -> str:
        """See `SceneDataModule.fingerprint`."""
        keys = [job.key for subset in ("train", "val", "test") for job, _ in self.jobs(subset)]
        return cache.digest({"parts": keys, "roles": repr(self.all), "patch": self.patch})

    def train_dataset(self) -> RolePatches:
        """Random patches of the training scenes."""
        return RolePatches(self.parts("train"), self.all, self.patch, self.patches_per_epoch)

    def val_dataset(self) -> RoleScenes | None:
        """Whole validation scenes."""
        parts = self.parts("val")
        return RoleScenes(parts, self.all) if parts else None

    def test_dataset(self, name: str) -> RoleScenes:
        """Whole test scenes."""
        return RoleScenes(self.parts("test"), self.all)

    def training_pixels(self, most: int) -> tuple[dict[str, Tensor], Tensor]:
        """Pixels of the training scenes, the same number of each: role -> [n,B], and their target [n]."""
        parts = self.parts("train")
        found: dict[str, list[Tensor]] = {name: [] for name in self.all}
        for i, part in enumerate(parts):
            scene = RoleScenes([part], self.all)[0]
            count = scene[TARGET].numel()
            rows = np.random.default_rng([self.seed, i]).permutation(count)[: max(most // len(parts), 1)]
            for name in self.all:
                pixels = scene[name].reshape(-1, count).T if name != TARGET else scene[name].flatten()
                found[name].append(pixels[torch.from_numpy(rows)])
        joined = {name: torch.cat(tensors) for name, tensors in found.items()}
        return {role: joined[role] for role in self.roles}, joined[TARGET]

    def counts(self, subset: str) -> list[int]:
        """Pixels of each class in a subset, of a target that holds class indices."""
        found = [np.bincount(np.asarray(part.entry.array(TARGET)).ravel()) for part in self.parts(subset)]
        most = max((len(counts) for counts in found), default=0)
        return np.sum([np.pad(counts, (0, most - len(counts))) for counts in found], axis=0).tolist()

    def told(self) -> None:
        """See `SceneDataModule.told`."""
        if self.run_dir is not None:
            text = json.dumps(self.summary(), indent=1) + "\n"
            (self.run_dir / "data.json").write_text(text, encoding="utf-8")

    def summary(self) -> dict[str, Any]:
        """See `SceneDataModule.summary`."""
        found: dict[str, Any] = {"data": self.name, "simulated": True, "simulation": self.simulation}
        for subset in ("train", "val", "test"):
            found[subset] = {part.name: _facts(part) for part in self.parts(subset)}
        return found


def _facts(part: CachedPart[Mapping[str, Any]]) -> dict[str, float]:
    target = np.asarray(part.entry.array(TARGET))
    return {"mean": float(target.mean()), "largest": float(target.max())}
