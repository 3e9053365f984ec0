"""The end of a trial that falls behind the others of a search (extra ``sweeps``)."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from fusionbench.errors import ConfigError, DependencyNotFoundError, PrunedError


class Pruning(Callback):
    """Reports the watched value after each validation, and ends the training where Optuna's pruner says so.

    The trial is reopened from the study's storage, so this works in any process and on any machine that reaches it.

    Args:
        storage: URL of the study's storage; ``study``: its name; ``trial``: the number of this run's trial.
        pruner: ``median`` or ``hyperband``.

    Raises:
        DependencyNotFoundError: Optuna is not installed.
    """

    def __init__(self, storage: str, study: str, trial: int, pruner: str) -> None:
        try:
            import optuna
        except ImportError as error:
            raise DependencyNotFoundError(
                "callbacks.pruning needs Optuna: pip install 'fusionbench[sweeps]'"
            ) from error
        made: dict[str, Any] = {"median": optuna.pruners.MedianPruner, "hyperband": optuna.pruners.HyperbandPruner}
        if pruner not in made:
            raise ConfigError(f"callbacks.pruning.pruner={pruner}: one of {', '.join(made)}")
        opened = optuna.load_study(study_name=study, storage=storage, pruner=made[pruner]())
        identity = next((t._trial_id for t in opened.get_trials(deepcopy=False) if t.number == trial), None)
        if identity is None:
            raise ConfigError(f"callbacks.pruning.trial={trial}: there is no such trial in {storage}")
        self.trial, self.number = optuna.trial.Trial(opened, identity), trial

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Report; every process takes the first one's decision.

        Raises:
            PrunedError: this trial is given up.
        """
        if trainer.state.fn != "fit":
            return
        name, step = pl_module.evaluator.monitor[0], pl_module.batches_done()
        value = float(trainer.callback_metrics[name])
        stop = False
        if trainer.is_global_zero:
            self.trial.report(value, step)
            stop = self.trial.should_prune()
        if trainer.strategy.broadcast(stop):
            raise PrunedError(f"pruned at step {step}: {name} {value:.4g} falls behind the other trials")
