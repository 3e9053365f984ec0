"""What goes along with a training: curves, the watch for divergence, checkpoints, length, progress bars."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from torch import Tensor

from fusionbench.errors import ConfigError, DivergedError
from fusionbench.regimes.checkpoint import BEST, LAST

CONVERGED = 0.02  # share by which the watched value may still fall in the last quarter


class Lengths(Callback):
    """Ends training after a number of batches (the trainer itself counts optimiser steps, which may be more).

    Args:
        max_steps: batches; ``max_epochs``: passes over the training set. The smaller one counts.

    Raises:
        ConfigError: neither is given.
    """

    def __init__(self, max_steps: int | None, max_epochs: int | None) -> None:
        if max_steps is None and max_epochs is None:
            raise ConfigError("trainer.max_steps and trainer.max_epochs are both null: give one of them")
        self.max_steps, self.max_epochs = max_steps, max_epochs
        self.total = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Count the batches of an epoch."""
        by_epochs = math.inf if self.max_epochs is None else self.max_epochs * trainer.num_training_batches
        steps = int(min(by_epochs, math.inf if self.max_steps is None else self.max_steps))
        self.total = pl_module.steps_before + steps

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Ask the trainer to stop behind the last batch; it validates once more."""
        if pl_module.batches_done() >= self.total:
            trainer.should_stop = True


class Curves(Callback):
    """Logs the mean of every training loss since the last time, and the learning rate.

    Args:
        every: batches between two rows.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Let the loggers forget what lies behind the state that training continues from."""
        done = pl_module.batches_done()
        for logger in trainer.loggers:
            if hasattr(logger, "truncate"):
                logger.truncate(done)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Add to the sums, which stay on the device until they are logged."""
        if list(outputs) != self._names:
            self._names, self._sums, self._count = list(outputs), None, 0
        values = torch.stack([outputs[name].detach() for name in self._names]).double()
        self._sums = values if self._sums is None else self._sums.to(values.device) + values
        self._count += 1
        step = pl_module.batches_done()
        if step % self.every == 0 or trainer.should_stop:
            self._write(trainer, step)

    def _write(self, trainer: pl.Trainer, step: int) -> None:
        assert self._sums is not None
        means = (mean_over_processes(self._sums) / self._count).tolist()
        row = {f"train/{name}": mean for name, mean in zip(self._names, means, strict=True)}
        if trainer.optimizers:
            row["train/lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        for logger in trainer.loggers:
            logger.log_metrics(row, step)
        self._sums, self._count = None, 0

    def state_dict(self) -> dict[str, Any]:
        """Sums since the last row: a resumed run logs the same means."""
        return {
            "names": list(self._names),
            "sums": None if self._sums is None else mean_over_processes(self._sums).tolist(),
            "count": self._count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``state_dict``."""
        sums = state_dict["sums"]
        self._names, self._count = list(state_dict["names"]), int(state_dict["count"])
        self._sums = None if sums is None else torch.tensor(sums, dtype=torch.float64)


class Divergence(Callback):
    """Stops a training whose loss is not finite, or far above where it began.

    Args:
        factor: how many times the largest loss of the first 20 batches is too much; None: any finite loss will do.
        every: batches between two looks on a GPU, where a look waits for the device; the CPU looks at each batch.
    """

    FIRST = 20

    def __init__(self, factor: float | None = 1000.0, every: int = 50) -> None:
        self.factor, self.every = factor, every
        self._began, self._seen = 0.0, 0
        self._worst: Tensor | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Keep the largest loss (a NaN stays) and look at it."""
        loss = outputs["loss"].detach().abs()
        self._worst = loss if self._worst is None else torch.maximum(self._worst, loss)
        self._seen += 1
        if loss.device.type == "cpu" or self._seen <= self.FIRST or self._seen % self.every == 0 or trainer.should_stop:
            self._look(trainer, pl_module.batches_done())

    def _look(self, trainer: pl.Trainer, step: int) -> None:
        worst = math.nan if self._worst is None else mean_over_processes(self._worst).item()
        self._worst = None
        limit = math.inf
        if self._seen > self.FIRST and self.factor is not None:
            limit = self.factor * self._began
        elif math.isfinite(worst):
            self._began = max(self._began, worst)
        if not math.isfinite(worst) or worst > limit:
            raise diverged(trainer, step, f"the loss is {worst:.3g}; it began at {self._began:.3g}")

    def state_dict(self) -> dict[str, Any]:
        """Where the loss began."""
        return {"began": self._began, "seen": self._seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``state_dict``."""
        self._began, self._seen = float(state_dict["began"]), int(state_dict["seen"])


def mean_over_processes(values: Tensor) -> Tensor:
    """Mean of a tensor over all processes, the same on each of them."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def diverged(trainer: pl.Trainer, step: int, what: str) -> DivergedError:
    """The error for a training that went astray."""
    kept = next((c.kept for c in trainer.checkpoint_callbacks if isinstance(c, Checkpoints)), "")
    return DivergedError(
        f"training diverged at step {step}: {what}. {kept or 'No state had been saved before.'}\n"
        "  A smaller learning rate (model.module.optimizer.lr=...), gradient clipping (model.module.clip_norm=...) or "
        "trainer.precision=32-true may help."
    )


class Checkpoints(Checkpoint):
    """Saves ``last.ckpt`` (everything needed to continue) and ``best.ckpt`` (weights, by the validation value).

    Args:
        folder: the run's ``checkpoints/``.
        every: batches between two states; one is saved after each epoch and at the end too.
        val_every: batches between two validations; None: after each epoch.
        monitor: name of the validation value and its better direction, ``min`` or ``max``.
        stop: whether the process was asked to end: the state is then saved after the running step and the fit left.
        training: what the checkpoint says of its training from the start (recipe, data).
    """

    def __init__(
        self,
        folder: Path,
        every: int | None,
        val_every: int | None,
        monitor: tuple[str, str],
        stop: Callable[[], bool],
        training: Mapping[str, Any],
    ) -> None:
        self.folder, self.every, self.val_every, self.stop = folder, every, val_every, stop
        self.monitor, self.training = monitor, dict(training)
        self.history: list[list[float]] = []
        self.best_step: int | None = None
        self._seconds, self._since = 0.0, 0.0
        self._saved: int | None = None
        self._handler: Any = None

    @property
    def kept(self) -> str:
        """Which state is on disk, in words."""
        return "" if self._saved is None else f"The state after step {self._saved} is kept in {self.folder / LAST}."

    # --- hooks ---

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Remember who handles SIGTERM: the trainer's own handler, installed next, would end a fit without a state."""
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock."""
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
        self._since = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Save where it is due; at a step that is validated, afterwards."""
        step = pl_module.batches_done()
        if self._validates(trainer, step):
            return
        asked = self._asked(trainer)
        by_number = self.every is not None and step % self.every == 0
        if asked or by_number or trainer.is_last_batch or trainer.should_stop:
            self._save(trainer, pl_module, step)
        if asked:
            raise SystemExit(143)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Save the state, and the weights where they are the best so far."""
        if trainer.state.fn != "fit":
            return
        step = pl_module.batches_done()
        if self.monitor[0] not in trainer.callback_metrics:
            raise ConfigError(
                f"evaluator.monitor: {self.monitor[0]!r} was not among the validation values "
                f"({', '.join(trainer.callback_metrics)})"
            )
        value = float(trainer.callback_metrics[self.monitor[0]])
        if not math.isfinite(value):
            raise diverged(trainer, step, f"{self.monitor[0]} on the validation scenes is {value}")
        best = self._better(value)
        self.history.append([float(step), value])
        if best:
            self.best_step = step
        asked = self._asked(trainer)
        self._save(trainer, pl_module, step, best=best)
        if asked:
            raise SystemExit(143)

    # --- saving ---

    def _save(self, trainer: pl.Trainer, regime: Any, step: int, best: bool = False) -> None:
        bad = [name for name, p in regime.named_parameters() if not torch.isfinite(p).all()]
        if bad:
            raise diverged(trainer, step, f"the weights {bad[0]} are not finite")
        regime.facts["training"] = self._facts(trainer, step)
        if best or (trainer.should_stop and self.best_step is None):  # nothing was validated: the last is the best
            trainer.save_checkpoint(self.folder / BEST, weights_only=True)
        trainer.save_checkpoint(self.folder / LAST)
        self._saved = step

    def _facts(self, trainer: pl.Trainer, step: int) -> dict[str, Any]:
        loader: Any = trainer.train_dataloader
        batch = getattr(loader, "batch_size", None)
        improvement = None if not trainer.should_stop else self._improvement(step)
        return {
            **self.training,
            "steps": step,
            "samples": None if batch is None else step * int(batch),
            "epochs": step // int(trainer.num_training_batches),
            "seconds": round(self._seconds + time.perf_counter() - self._since, 3),
            "converged": None if improvement is None else improvement < CONVERGED,
            "improvement": improvement,
            "watched": self.monitor[0] if self.history else "",
            "best": self._best() if self.history else None,
            "selected_on": "validation" if self.history else "nothing (last step)",
            "best_step": self.best_step if self.history else step,
            "complete": bool(trainer.should_stop),
        }

    def _better(self, value: float) -> bool:
        values = [past for _, past in self.history]
        if not values:
            return True
        return value < min(values) if self.monitor[1] == "min" else value > max(values)

    def _best(self) -> float:
        values = [value for _, value in self.history]
        return min(values) if self.monitor[1] == "min" else max(values)

    def _improvement(self, step: int) -> float | None:
        """Share by which the best watched value got better in the last quarter; None where that is not known."""
        sign = 1.0 if self.monitor[1] == "min" else -1.0
        before = [sign * value for at, value in self.history if at <= 0.75 * step]
        if not before or min(before) == 0:
            return None
        return (min(before) - min(sign * value for _, value in self.history)) / abs(min(before))

    def _validates(self, trainer: pl.Trainer, step: int) -> bool:
        if sum(trainer.num_val_batches) == 0:
            return False
        due = trainer.is_last_batch if self.val_every is None else step % self.val_every == 0
        return due or trainer.should_stop

    def _asked(self, trainer: pl.Trainer) -> bool:
        """Whether any process was asked to end: all leave behind the same step."""
        if trainer.world_size == 1:
            return self.stop()
        return bool(trainer.strategy.reduce_boolean_decision(self.stop(), all=False))

    def state_dict(self) -> dict[str, Any]:
        """What the choice of the best and the record of the training depend on."""
        return {
            "history": [list(entry) for entry in self.history],
            "best_step": self.best_step,
            "seconds": self._seconds + time.perf_counter() - self._since,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``state_dict``."""
        self.history = [list(entry) for entry in state_dict["history"]]
        self.best_step, self._seconds = state_dict["best_step"], float(state_dict["seconds"])
