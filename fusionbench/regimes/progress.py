"""Progress bars of training, validation and testing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fusionbench.regimes.callbacks import Lengths


class Bars(Callback):
    """Bars on standard error; where that is no terminal, a line at every validation.

    Args:
        lengths: knows how many batches there will be.
        refresh: batches between two looks at the loss.
    """

    def __init__(self, lengths: Lengths, refresh: int = 20) -> None:
        self.lengths, self.refresh = lengths, refresh
        self.console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: Any = None
        self._fit: Any = None
        self._loss: Any = None

    def _open(self, what: str, total: int, done: int = 0) -> None:
        self._close()
        if not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[values]}"),
            console=self.console,
            refresh_per_second=4,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(what, total=total, completed=done, values="")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Open the bar of the training."""
        if trainer.is_global_zero:
            before = pl_module.steps_before
            self._open(pl_module.doing, self.lengths.total - before, pl_module.batches_done() - before)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Move the bar now and then: reading the loss waits for the device."""
        step = pl_module.batches_done()
        self._loss = outputs["loss"]
        if self._bar is not None and (step % self.refresh == 0 or trainer.should_stop):
            self._bar.update(self._task, completed=step - pl_module.steps_before, values=self._values(trainer))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Show the validation values."""
        if not trainer.is_global_zero or trainer.state.fn != "fit":
            return
        if self._bar is not None:
            self._bar.update(self._task, values=self._values(trainer))
        else:
            step = pl_module.batches_done()
            self.console.print(f"step {step}/{self.lengths.total}  {self._values(trainer)}", highlight=False)

    def _values(self, trainer: pl.Trainer) -> str:
        scores = [f"{k} {float(v):.4g}" for k, v in trainer.callback_metrics.items() if k.startswith("val/")]
        if self._bar is not None:  # a bar has room for one
            scores = scores[:1]
        return "  ".join([f"loss {float(self._loss):.3g}", *scores])

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Close the bar."""
        self._close()

    def on_test_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Open the bar of the test."""
        if trainer.is_global_zero:
            self._open("testing", int(sum(trainer.num_test_batches)))

    def on_test_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One scene more."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def fitting(self, where: str, step: int, steps: int, values: Mapping[str, float]) -> None:
        """Show how far the fit of a scene is: ``where`` names scene and stage.

        Args:
            where: such as ``scene 3/20, stage 2/3``.
            step, steps: of the stage.
            values: loss terms; the bar has room for the first.
        """
        said = [f"{name} {value:.3g}" for name, value in values.items()]
        if not self.console.is_terminal:
            if step == steps:
                self.console.print(f"{where}, step {step}/{steps}  {'  '.join(said)}", highlight=False)
            return
        if self._bar is None:  # another process shows the bars
            return
        if self._fit is None:
            self._fit = self._bar.add_task(where, total=steps, values="")
        text = f"{where}, step {step}/{steps}"
        self._bar.update(self._fit, description=text, total=steps, completed=step, values="  ".join(said[:1]))

    def fitted(self) -> None:
        """The scene is done, or was given up."""
        if self._bar is not None and self._fit is not None:
            self._bar.remove_task(self._fit)
        self._fit = None

    def on_test_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self._close()
