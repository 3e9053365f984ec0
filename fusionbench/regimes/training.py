"""From a configuration to a trainer; and the fit that regimes of one optimiser share."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from fusionbench.building import build
from fusionbench.errors import ConfigError
from fusionbench.regimes.callbacks import Checkpoints, Curves, Lengths
from fusionbench.regimes.checkpoint import (
    BEST,
    FOLDER,
    KEY,
    LAST,
    VerifiedCheckpoints,
    load_weights,
    read_checkpoint,
    write_checkpoint,
)
from fusionbench.regimes.progress import Bars

if TYPE_CHECKING:
    from fusionbench.regimes.base import Regime


PATIENCE = timedelta(days=7)  # processes fit scenes of unequal length, and wait for each other at the end


def build_trainer(
    config: Mapping[str, Any], run_dir: Path, monitor: tuple[str, str], stop: Callable[[], bool] | None = None
) -> pl.Trainer:
    """The trainer of a run: device and precision, lengths in batches, checkpoints, curves, progress.

    Args:
        config: resolved configuration: ``trainer``, and where there are ``logger`` and ``callbacks``.
        run_dir: the run folder.
        monitor: the evaluator's, chooses the best checkpoint.
        stop: whether the process was asked to end; None: never.

    Raises:
        ConfigError: settings that this machine does not have.
    """
    settings = config["trainer"]
    trains = "model" in config
    _quiet()
    lengths = Lengths(settings["max_steps"], settings["max_epochs"]) if _learns(config) else Lengths(0, None)
    callbacks: list[pl.Callback] = [lengths]
    if trains:
        callbacks += [build(node, f"callbacks.{name}") for name, node in (config.get("callbacks") or {}).items()]
        callbacks.append(Curves(int(settings["log_every_n_steps"])))
    if settings.get("progress", True):
        callbacks.append(Bars(lengths))
    if trains:
        callbacks.append(
            Checkpoints(
                run_dir / FOLDER,
                settings["checkpoint_every"],
                settings["val_every"],
                monitor,
                stop or _never,
                _training(config),
            )
        )
    several = str(settings.get("devices", 1)) != "1" or int(settings.get("num_nodes", 1)) != 1
    val_every = settings.get("val_every")
    try:
        return pl.Trainer(
            accelerator=settings.get("accelerator", "auto"),
            devices=settings.get("devices", 1),
            num_nodes=int(settings.get("num_nodes", 1)),
            strategy=DDPStrategy(find_unused_parameters=_some_idle(config), timeout=PATIENCE) if several else "auto",
            precision=settings.get("precision", "32-true"),
            max_epochs=-1,  # Lengths decides
            val_check_interval=1.0 if val_every is None else int(val_every),
            check_val_every_n_epoch=1 if val_every is None else None,
            num_sanity_val_steps=0,
            log_every_n_steps=int(settings["log_every_n_steps"]),
            use_distributed_sampler=False,
            enable_checkpointing=trains,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
            logger=[build(node, f"logger.{name}") for name, node in (config.get("logger") or {}).items()]
            if trains
            else False,
            plugins=[VerifiedCheckpoints()],
            deterministic=_deterministic(settings),
            profiler=settings.get("profiler"),
            default_root_dir=run_dir,
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error


def _some_idle(config: Mapping[str, Any]) -> bool:
    """Whether the model says that some of its parameters get no gradient, for which processes would wait."""
    return bool((config.get("model") or {}).get("unused_parameters", False))


def _learns(config: Mapping[str, Any]) -> bool:
    return "model" in config and (config["model"].get("card") or {}).get("regime") not in ("classical", "per_scene")


def _training(config: Mapping[str, Any]) -> dict[str, Any]:
    run = config.get("run") or {}
    return {
        "recipe": str(run.get("recipe") or ""),
        "trained_on": str(run.get("data") or ""),
        "trained_on_simulated": config["data"].get("simulated"),
    }


def _deterministic(settings: Mapping[str, Any]) -> Any:
    """On a GPU deterministic kernels where there are some; the CPU's are anyway."""
    if not settings.get("deterministic", True) or settings.get("accelerator") == "cpu" or not torch.cuda.is_available():
        return False
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return "warn"


def _never() -> bool:
    return False


def _quiet() -> None:
    """Keep the trainer from telling a person what the run says better, or what cannot be helped."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*is not resumable.*",
        ".*in eval mode at the start of training.*",  # frozen parts of a stage
        ".*across ranks is zero.*",
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
    ):
        warnings.filterwarnings("ignore", message)


def fit(regime: Regime, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
    """Train, or continue to train, load the best weights into the regime, and return their checkpoint.

    A training that was complete is not repeated.

    Raises:
        DivergedError: the loss or the weights are not finite any more; ``last.ckpt`` holds the last good state.
    """
    last, best = run_dir / FOLDER / LAST, run_dir / FOLDER / BEST
    state = read_checkpoint(last) if resume and last.is_file() else None
    if state is None or not state[KEY]["training"].get("complete"):
        trainer.fit(regime, datamodule=datamodule, ckpt_path=None if state is None else str(last))
        state = read_checkpoint(last)
    content = read_checkpoint(best)
    if content[KEY]["training"] != state[KEY]["training"]:
        content[KEY] = {**content[KEY], "training": state[KEY]["training"]}
        if trainer.is_global_zero:
            write_checkpoint(best, content)
    load_weights(regime, content["state_dict"], best)
    regime.facts = dict(content[KEY])
    return best


def hold_then_decay(
    optimizer: torch.optim.Optimizer, steps: int | None, hold: float = 0.8
) -> torch.optim.lr_scheduler.LambdaLR:
    """A rate that is held, then falls linearly to zero, over `steps` batches (``scheduler_interval: step``).

    At a constant rate the weights of the last steps still jump about; published schedules end that in hundreds of
    epochs, a training of minutes by this.

    Args:
        optimizer: with the published rate.
        steps: length of the training.
        hold: share of it at the full rate.

    Raises:
        ConfigError: the training has no number of steps.
    """
    if steps is None:
        raise ConfigError(
            "trainer.max_steps=null: the demo recipe lowers the rate over trainer.max_steps; give it a number, "
            "or keep the rate constant with model.module.scheduler=null"
        )
    total = int(steps)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(max(1 - step / total, 0.0) / (1 - hold), 1.0))


def kernel_decay(
    parameters: Iterable[nn.Parameter], optimizer: Callable[..., torch.optim.Optimizer], decay: float, axes: int = 2
) -> torch.optim.Optimizer:
    """An optimiser whose weight decay acts on kernels alone, not on biases and batch norms.

    ``decay`` adds ``decay`` times the weight to its gradient: half of it times the sum of squares in the loss.

    Args:
        parameters: all that learn.
        optimizer: partial of the optimiser.
        decay: 0 or more.
        axes: a kernel has so many or more; 5: those of 3-D convolutions.

    Raises:
        ConfigError: a negative decay.
    """
    if decay < 0:
        raise ConfigError(f"model.module.optimizer.decay={decay}: 0 or more")
    everything = list(parameters)
    kernels = [p for p in everything if p.ndim >= axes]
    others = [p for p in everything if p.ndim < axes]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return optimizer([group for group in groups if group["params"]])
