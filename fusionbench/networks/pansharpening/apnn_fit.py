"""The target-adaptive stage of A-PNN: training goes on on the scene itself, one scale down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from fusionbench.errors import DataError
from fusionbench.imaging import degrade_ms, degrade_pan
from fusionbench.networks.fitting import SceneFit, Snapshots, Stage, Update
from fusionbench.networks.pansharpening.apnn import APNN, published_sgd


class APNNFit(SceneFit):
    """Degrades both images of the scene by the ratio, learns to give the MS back, keeps the weights of least loss.

    Args:
        gains: MTF of the MS bands at Nyquist.
        grid: pixel grid of the data.
        steps: on the whole image each (published 50).

    Raises:
        DataError: a scene that is too small to be degraded.

    Source: Scarpa, Vitale, Cozzolino, Target-Adaptive CNN-Based Pansharpening, IEEE TGRS 56(9), 2018.
    """

    needs_start = True

    def __init__(self, gains: Sequence[float], grid: str = "dlpan", steps: int = 50) -> None:
        self.gains, self.grid, self.steps = list(gains), grid, steps

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Degrade the scene."""
        super().start(network, inputs, facts)
        ratio, border = int(facts["ratio"]), cast(APNN, network).border
        rows, columns = (ratio * (side // ratio) for side in inputs["lr"].shape[-2:])
        self.wanted = inputs["lr"][..., :rows, :columns]
        if min(rows, columns) <= 2 * border:
            raise DataError(
                f"{facts['scene']}: {rows} x {columns} px of MS are too few to adapt to, "
                f"more than {2 * border} are needed"
            )
        guide = inputs["guide"][..., : ratio * rows, : ratio * columns]
        self.lower = {
            "lr": degrade_ms(self.wanted, self.gains, ratio, self.grid),
            "guide": degrade_pan(guide, ratio),
        }
        self.inner = (..., slice(border, -border), slice(border, -border))
        self.least, self.best = math.inf, Snapshots(network, keep=1)

    def stages(self) -> Sequence[Stage]:
        """One."""
        self.optimizer = published_sgd(self.network.parameters(), self.wanted.shape[1])
        return [Stage("adapt", self.steps, self._step, end=self._keep_best)]

    def loss(self) -> Tensor:
        """Mean absolute difference to the scene's MS, without the pixels that the network sees past the border."""
        return (self.network(**self.lower) - self.wanted)[self.inner].abs().mean()

    def _step(self, step: int) -> Iterator[Update]:
        loss = self.loss()
        self._remember(float(loss.detach()))
        yield Update(self.optimizer, loss)

    def _remember(self, loss: float) -> None:
        if loss < self.least:
            self.least = loss
            self.best.save(0)

    def _keep_best(self) -> None:
        self._remember(float(self.loss().detach()))
        self.best.restore(0)
