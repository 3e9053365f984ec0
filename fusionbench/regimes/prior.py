"""A trained method as a part of another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusionbench.errors import CheckpointError
from fusionbench.regimes.base import Regime
from fusionbench.regimes.checkpoint import rebuild


class TrainedMethod(nn.Module):
    """A checkpoint's method, frozen: lr [N,B,h,w], guide [N,1,H,W] -> [N,B,H,W], in units of DN / (2^bits - 1)."""

    def __init__(self, regime: Regime) -> None:
        super().__init__()
        self.regime = regime.requires_grad_(False).eval()

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        """Fuse, without a gradient; CheckpointError where it was made for another number of bands."""
        bands = self.regime.facts["channels"]["lr"]
        if lr.shape[1] != bands:
            raise CheckpointError(f"model.prior: made for {bands} bands, the data have {lr.shape[1]}; train one")
        bits = torch.full((lr.shape[0],), int(self.regime.facts["bits"]), device=lr.device)
        with torch.no_grad():
            return self.regime.fuse({"lr": lr, "guide": guide, "bits": bits})


def trained(checkpoint: str | None, ratio: int, grid: str) -> TrainedMethod | None:
    """The method of a checkpoint; None where none is named.

    Args:
        checkpoint: the file.
        ratio, grid: of the data at hand.

    Raises:
        CheckpointError: there is none, it cannot be read, or it was made for another ratio or grid.
    """
    if checkpoint is None:
        return None
    regime = rebuild(checkpoint)
    made_for = (regime.facts["ratio"], regime.facts["grid"])
    if made_for != (ratio, grid):
        raise CheckpointError(
            f"model.prior={checkpoint}: made for ratio {made_for[0]} on the {made_for[1]} grid, the data have ratio "
            f"{ratio} on the {grid} grid; train a prior on data like these"
        )
    return TrainedMethod(regime)
