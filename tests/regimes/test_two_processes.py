"""Two processes do what one does: the same weights from the same global batches, the same fused scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fusionbench.building import allow_packages
from fusionbench.regimes.checkpoint import checkpoint_facts, read_checkpoint
from fusionbench.regimes.training import build_trainer

from . import small, test_per_scene, test_staged
from .two_processes import two


def everything(folder: Path, devices: int) -> None:
    """A supervised and a staged training of 20 steps each, and a per-scene run."""
    allow_packages(["tests"])
    settings = {"devices": devices, "val_every": 10, "checkpoint_every": None}
    config = small.config(max_steps=20, **settings)
    made = small.supervised()
    made.attach(small.Score(), checkpoint_facts(config))
    trainer = build_trainer(config, folder / "supervised", made.evaluator.monitor)
    made.learn(trainer, small.SmallData(), folder / "supervised", resume=False)
    test_staged.fit(test_staged.regime(plain=True), folder / "staged", max_steps=24, **settings)
    test_per_scene.run(test_per_scene.regime(), folder / "per_scene", devices=devices)


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    two(tmp_path / "two", "regimes")
    everything(tmp_path / "one", devices=1)
    for kind in ("supervised", "staged"):
        one, both = (
            read_checkpoint(tmp_path / number / kind / "checkpoints" / "best.ckpt")["state_dict"]
            for number in ("one", "two")
        )
        for name, value in one.items():
            torch.testing.assert_close(both[name], value, rtol=0, atol=1e-5)
    assert len(list((tmp_path / "two").rglob("stage.json"))) == 3
    files = sorted((tmp_path / "one" / "per_scene" / "fused").rglob("*.npz"))
    assert len(files) == 3
    for file in files:
        one, both = (np.load(tmp_path / n / file.relative_to(tmp_path / "one"))["image"] for n in ("one", "two"))
        np.testing.assert_array_equal(one, both)
