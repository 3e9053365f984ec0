"""A network that learns from pairs of inputs and reference; or, with a loss that reads only the inputs, from those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError
from fusionbench.losses import LossSet
from fusionbench.regimes.base import Regime
from fusionbench.regimes.training import fit

INTERVALS = ("epoch", "step")


class Supervised(Regime):
    """One network, one loss, one optimiser.

    Args:
        network: see ``Regime``.
        loss: named, weighted terms; which of them read ``target`` decides whether the method is supervised.
        optimizer: partial of an optimiser; it is given all parameters that want a gradient.
        scheduler: partial of a learning rate scheduler, or None.
        scheduler_interval: what the scheduler counts, ``epoch`` or ``step`` (batches).
        clip_norm: largest norm of the gradient of all parameters together; None: not clipped.
        loss_border: px at the edges of the target that do not count in the loss.
        value_range: see ``ValueRange``; the loss is computed in it, as published.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: LossSet,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None = None,
        scheduler_interval: str = "epoch",
        clip_norm: float | None = None,
        loss_border: int = 0,
        value_range: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(network, value_range)
        if scheduler_interval not in INTERVALS:
            raise ConfigError(f"model.module.scheduler_interval={scheduler_interval}: one of {', '.join(INTERVALS)}")
        if clip_norm is not None and clip_norm <= 0:
            raise ConfigError(f"model.module.clip_norm={clip_norm}: a number above 0, or null")
        if loss_border < 0:
            raise ConfigError(f"model.module.loss_border={loss_border}: 0 or more px")
        self.loss = loss
        self.scheduler_interval, self.clip_norm, self.loss_border = scheduler_interval, clip_norm, loss_border
        self._optimizer, self._scheduler = optimizer, scheduler

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """The loss of a batch, and each term beside it."""
        absent = sorted(self.loss.roles - batch.keys())
        if absent:
            raise DataError(f"the loss reads {', '.join(absent)}, the training batches have {', '.join(batch)}")
        inputs = self.values.into(batch)
        outputs = {name: value.float() for name, value in self.outputs(inputs).items()}
        with torch.autocast(self.device.type, enabled=False):
            loss, terms = self.loss(outputs, inputs, border=self.loss_border, step=self.batches_done() - 1)
        return {"loss": loss, **({k: v.detach() for k, v in terms.items()} if len(terms) > 1 else {})}

    def configure_optimizers(self) -> Any:
        """The optimiser and, where there is one, its scheduler.

        Raises:
            ConfigError: a scheduler that waits for a measured value: its state could not be resumed exactly.
        """
        optimizer = self._optimizer([p for p in self.parameters() if p.requires_grad])
        return with_scheduler(optimizer, self._scheduler, self.scheduler_interval)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip by the norm over all parameters; under 16-bit precision after unscaling."""
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.clip_norm)

    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Train; see ``Regime.learn``."""
        return fit(self, trainer, datamodule, run_dir, resume)


class Unsupervised(Supervised):
    """Supervised with a loss that never reads the reference.

    Raises:
        ConfigError: a term reads ``target``.
    """

    def __init__(self, network: nn.Module, loss: LossSet, **settings: Any) -> None:
        if loss.supervised:
            raise ConfigError("model.module.loss: an unsupervised method's terms must not read target")
        super().__init__(network, loss, **settings)


def with_scheduler(optimizer: torch.optim.Optimizer, scheduler: Callable[..., Any] | None, interval: str) -> Any:
    """An optimiser and, where there is one, its scheduler, as the trainer takes them.

    Raises:
        ConfigError: a scheduler that waits for a measured value: its state could not be resumed exactly.
    """
    if scheduler is None:
        return optimizer
    made = scheduler(optimizer)
    if isinstance(made, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ConfigError(
            "model.module.scheduler: ReduceLROnPlateau is not offered; use one that counts epochs or steps"
        )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": made, "interval": interval, "frequency": 1}}
