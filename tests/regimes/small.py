"""A run of a few seconds: a tiny network, random smooth images, an evaluator that knows one index."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from fusionbench.data.loader import ResumableLoader
from fusionbench.losses import L1, MSE, LossSet
from fusionbench.regimes import Supervised

RATIO, BANDS = 2, 2


class TinyNet(nn.Module):
    """Nearest neighbour and one residual layer."""

    def __init__(self, bands: int = BANDS, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(bands + 1, 4, 3, padding=1)
        self.drop = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(4, bands, 3, padding=1)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        up = lr.repeat_interleave(RATIO, -1).repeat_interleave(RATIO, -2)
        return up + self.conv2(self.drop(self.conv1(torch.cat([up, guide], 1)).tanh()))


def sample(rng: np.random.Generator, name: str, size: int = 8) -> dict[str, Any]:
    target = torch.from_numpy(rng.random((BANDS, size, size), np.float32))
    lr = target.reshape(BANDS, size // RATIO, RATIO, size // RATIO, RATIO).mean((2, 4))
    return {
        "lr": lr,
        "guide": target.mean(0, keepdim=True),
        "target": target,
        "scene": name,
        "sensor": "none",
        "bits": 8,
        "ratio": RATIO,
        "gsd": np.float32(1),
    }


class Patches(Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def item(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        return sample(rng, str(index))


class Scenes(Dataset):
    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return sample(np.random.default_rng(self.seeds[i]), f"scene-{self.seeds[i]}")


class SmallData(pl.LightningDataModule):
    test_sets = ("reduced",)

    def __init__(self, samples: int = 10, batch_size: int = 2, workers: int = 0, seed: int = 0, val: int = 3) -> None:
        super().__init__()
        self.samples, self.batch_size, self.workers, self.seed, self.val = samples, batch_size, workers, seed, val
        self.fingerprint = "small"

    def train_dataloader(self) -> Any:
        return ResumableLoader(Patches(self.samples), self.batch_size, self.seed, self.workers)

    def val_dataloader(self) -> Any:
        return self._loader(list(range(100, 100 + self.val))) if self.val else []

    def test_dataloader(self) -> Any:
        return [self._loader([200, 201, 202])]

    def _loader(self, seeds: list[int]) -> DataLoader:
        scenes = Scenes(seeds)
        share = range(self.trainer.global_rank, len(scenes), self.trainer.world_size)
        return DataLoader(Subset(scenes, share), batch_size=1)


class Score:
    """Mean absolute difference; keeps what it observed."""

    monitor = ("val/MAE", "min")

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        return {"MAE": (output - batch["target"]).abs().double().mean((1, 2, 3)).tolist()}

    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None:
        assert seconds is not None
        assert math.isfinite(seconds)
        self.seen[f"{set_name}/{batch['scene'][0]}"] = self.score(batch, output)["MAE"][0]


def config(**trainer: Any) -> dict[str, Any]:
    """What a resolved configuration holds, as far as regimes read it."""
    settings = {
        "accelerator": "cpu",
        "devices": 1,
        "num_nodes": 1,
        "precision": "32-true",
        "max_steps": 12,
        "max_epochs": None,
        "val_every": 4,
        "checkpoint_every": 3,
        "log_every_n_steps": 2,
        "deterministic": False,
        "progress": False,
        "profiler": None,
    }
    return {
        "run": {"model": "tiny", "data": "small", "recipe": "demo"},
        "seed": 0,
        "model": {
            "card": {"id": "tiny", "regime": "supervised"},
            "module": {
                "_target_": "fusionbench.regimes.Supervised",
                "network": {"_target_": "fusionbench.networks.pansharpening.PanNet", "bands": BANDS, "ratio": RATIO},
                "loss": {
                    "_target_": "fusionbench.losses.LossSet",
                    "terms": {"mse": {"_target_": "fusionbench.losses.MSE"}},
                },
                "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.001},
            },
        },
        "data": {
            "card": {"id": "small", "name": "Small"},
            "channels": {"lr": BANDS, "guide": 1},
            "ratio": RATIO,
            "grid": "area",
            "bits": 8,
            "sensor": {"name": "none"},
            "simulated": True,
        },
        "trainer": settings | trainer,
    }


def supervised(lr: float = 0.01, dropout: float = 0.0, **settings: Any) -> Supervised:
    """A regime with dropout, two loss terms and a scheduler, so that every kind of state has to be resumed."""
    torch.manual_seed(0)
    loss = LossSet({"mse": MSE(), "l1": L1()}, {"l1": 0.5})
    return Supervised(TinyNet(dropout=dropout), loss, lambda p: torch.optim.Adam(p, lr=lr), **settings)


def weights(regime: Supervised) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in regime.state_dict().items()}


def folder_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
