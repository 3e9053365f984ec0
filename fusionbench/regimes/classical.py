"""Methods with nothing to learn."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from torch import nn

from fusionbench.regimes.base import Regime
from fusionbench.regimes.checkpoint import BEST, FOLDER, KEY, write_checkpoint


class Classical(Regime):
    """A method that fuses by a formula.

    Args:
        method: ``forward(lr, guide)`` gives the fused image [N,B,H,W] in the batch's units.
    """

    def __init__(self, method: nn.Module) -> None:
        super().__init__(method)

    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Nothing to learn: write the checkpoint that prediction and later tests start from."""
        return keep_state(self, trainer, run_dir)


def keep_state(regime: Regime, trainer: pl.Trainer, run_dir: Path) -> Path:
    """Write the checkpoint of a regime that has nothing to learn from training data, and return its path."""
    path = run_dir / FOLDER / BEST
    if trainer.is_global_zero:
        write_checkpoint(path, {"state_dict": regime.state_dict(), KEY: dict(regime.facts)})
    return path
