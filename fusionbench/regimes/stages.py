"""The stages of a staged training, and what a finished one leaves in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from fusionbench.errors import CheckpointError, ConfigError
from fusionbench.losses import LossSet
from fusionbench.regimes.supervised import INTERVALS

RECORD = "stage.json"


class TrainingStage(nn.Module):
    """A stage that learns: some parts move, all others are frozen and in evaluation mode.

    Args:
        trains: names of the parts that move: ``network``, or keys of ``parts``.
        loss: reads roles of the batch, the network's outputs where it is trained, and what ``derive`` gives.
        optimizer: partial of an optimiser, for the values of the parts that move.
        derive: module whose ``forward`` names what it reads (those, parts by their names, ``step`` of the stage from 0)
            and returns a dict; where the network is not trained it gives ``output``.
        scheduler: partial of a learning rate scheduler, or None; scheduler_interval: ``epoch`` or ``step``.
        share: of ``trainer.max_steps``, the stage's length where it has none of its own.
        max_steps, max_epochs: length of its own; the smaller one counts.
        view: settings of the data module during the stage, such as ``batch_size`` and ``patch``.
        clip_norm: largest norm of the gradient; None: not clipped.
        loss_border: px at the edges of the target that do not count in the loss.

    Raises:
        ConfigError: a setting that is none of those possible.
    """

    def __init__(
        self,
        trains: list[str],
        loss: LossSet,
        optimizer: Callable[..., torch.optim.Optimizer],
        derive: nn.Module | None = None,
        scheduler: Callable[..., Any] | None = None,
        scheduler_interval: str = "epoch",
        share: float = 1.0,
        max_steps: int | None = None,
        max_epochs: int | None = None,
        view: Mapping[str, Any] | None = None,
        clip_norm: float | None = None,
        loss_border: int = 0,
    ) -> None:
        super().__init__()
        if scheduler_interval not in INTERVALS:
            raise ConfigError(f"model.module.stages: scheduler_interval={scheduler_interval}: {' or '.join(INTERVALS)}")
        if not 0 < share <= 1 or (clip_norm is not None and clip_norm <= 0) or loss_border < 0:
            raise ConfigError(
                f"model.module.stages: share={share}, clip_norm={clip_norm}, loss_border={loss_border}; share is above "
                "0 and at most 1, clip_norm above 0 or null, loss_border 0 or more"
            )
        self.trains, self.loss, self.derive = list(trains), loss, derive
        self.optimizer, self.scheduler, self.scheduler_interval = optimizer, scheduler, scheduler_interval
        self.share, self.max_steps, self.max_epochs = share, max_steps, max_epochs
        self.view, self.clip_norm, self.loss_border = dict(view or {}), clip_norm, loss_border

    def length(self, trainer: Mapping[str, Any]) -> dict[str, int | None]:
        """``max_steps`` and ``max_epochs`` of the stage, given the run's settings of the trainer."""
        if self.max_steps is not None or self.max_epochs is not None:
            return {"max_steps": self.max_steps, "max_epochs": self.max_epochs}
        steps, epochs = trainer["max_steps"], trainer["max_epochs"]
        return {
            "max_steps": None if steps is None else max(1, round(self.share * steps)),
            "max_epochs": None if epochs is None else max(1, round(self.share * epochs)),
        }


class SolverStage(nn.Module):
    """A stage without a gradient.

    Args:
        solve: module whose ``forward`` names the parts it reads or fills, and ``batches``, an iterator over training
            batches in the method's range of values; it changes parts in place.
        view: see ``TrainingStage``.
    """

    def __init__(self, solve: nn.Module, view: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.trains: list[str] = []
        self.solve, self.view = solve, dict(view or {})


@contextmanager
def seen_as(datamodule: pl.LightningDataModule, view: Mapping[str, Any], stage: str) -> Iterator[None]:
    """The data module with a stage's settings.

    Raises:
        ConfigError: a setting that it does not have.
    """
    unknown = [key for key in view if not hasattr(datamodule, key)]
    if unknown:
        raise ConfigError(f"model.module.stages.{stage}.view.{unknown[0]}: the data have no such setting")
    before = {key: getattr(datamodule, key) for key in view}
    try:
        for key, value in view.items():
            setattr(datamodule, key, value)
        yield
    finally:
        for key, value in before.items():
            setattr(datamodule, key, value)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a finished stage; None where it is not finished."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / RECORD}: cannot be read ({error}); remove it to repeat the stage") from error
    return record


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Say that a stage is finished."""
    whole = folder / f".{RECORD}"
    whole.write_text(json.dumps(dict(record), indent=1) + "\n", encoding="utf-8")
    whole.replace(folder / RECORD)
