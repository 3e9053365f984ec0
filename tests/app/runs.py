"""Runs of a few seconds through the real configuration, for tests of the app."""

from __future__ import annotations

from pathlib import Path

from fusionbench.app import compose
from fusionbench.app import folder as folders

ROOT = Path(__file__).resolve().parents[2]
STEPS = 120
FEW_ROWS = [*(f"~evaluator.baselines.{name}" for name in ("gsa", "mtf_glp_hpm", "bt_h")), "evaluator.figures.scenes=0"]


def prepare(base: Path, folder: Path, *overrides: str) -> Path:
    """A run folder with its resolved configuration, as the verb train writes it; ``base`` holds data and cache."""
    cfg = compose.composed(
        "train",
        [
            "model=pannet",
            "data=quickbird",
            "data.source=files",
            f"paths.data={base / 'data'}",
            f"paths.outputs={base}",
            f"paths.cache={base / 'cache'}",
            "+model.module.network.channels=4",
            "data.patch=16",
            "data.batch_size=2",
            "data.patches_per_epoch=50",
            "trainer.accelerator=cpu",
            "trainer.threads=1",
            "trainer.progress=false",
            f"trainer.max_steps={STEPS}",
            "trainer.val_every=20",
            "trainer.checkpoint_every=7",
            "trainer.log_every_n_steps=1",
            *FEW_ROWS,
            f"paths.run={folder}",
            *overrides,
        ],
    )
    choices = {"model": "pannet", "data": "quickbird", "recipe": "demo"}
    folders.write_config(folder, compose.resolved(cfg, choices, folder))
    return folder
