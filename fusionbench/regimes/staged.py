"""A training in stages, each with its own parts, data view, loss, optimiser and length."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fusionbench.errors import CheckpointError, ConfigError, DataError, DivergedError
from fusionbench.regimes.adversarial import arguments
from fusionbench.regimes.base import Regime, gathered
from fusionbench.regimes.callbacks import Checkpoints
from fusionbench.regimes.checkpoint import BEST, FOLDER, KEY, load_weights, read_checkpoint, write_checkpoint
from fusionbench.regimes.stages import RECORD, SolverStage, TrainingStage, read_record, seen_as, write_record
from fusionbench.regimes.supervised import with_scheduler
from fusionbench.regimes.training import build_trainer, fit

STAGES, NETWORK = "stages", "network"


class Staged(Regime):
    """A network and its helpers, learned one stage after another.

    One fit for each stage, in ``stages/01_<name>/`` of the run folder, with checkpoints of its own; what is frozen is
    frozen before a fit begins, never within one. A finished stage has a ``stage.json``; a resumed run continues in the
    stage that has none. Every stage hands on the weights of all parts: the best of a stage that trains the network, the
    last of one that does not.

    Args:
        network: see ``Regime``.
        parts: further modules by name, such as loss networks; not needed to fuse.
        stages: by name, in order.
        until: name of the last stage to carry out; None: all.
        value_range: see ``ValueRange``; losses and parts work in it.

    Raises:
        ConfigError: no stage, a stage or a part that does not exist.
    """

    def __init__(
        self,
        network: nn.Module,
        parts: Mapping[str, nn.Module],
        stages: Mapping[str, TrainingStage | SolverStage],
        until: str | None = None,
        value_range: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(network, value_range)
        if not stages:
            raise ConfigError("model.module.stages is empty: name at least one, or use the regime Supervised")
        if until is not None and until not in stages:
            raise ConfigError(f"model.module.until={until}: there is no such stage; stages are {', '.join(stages)}")
        names = [NETWORK, *parts]
        for name, stage in stages.items():
            unknown = [part for part in stage.trains if part not in names]
            if unknown or (isinstance(stage, TrainingStage) and not stage.trains):
                raise ConfigError(
                    f"model.module.stages.{name}.trains={list(stage.trains)}: name one or more of {', '.join(names)}"
                )
        self.parts, self.stages = nn.ModuleDict(dict(parts)), nn.ModuleDict(dict(stages))
        self.until = until
        self._moving = {name: p.requires_grad for name, p in self.named_parameters()}
        self._stage: tuple[str, TrainingStage] | None = None

    def _all_parts(self) -> dict[str, nn.Module]:
        return {NETWORK: self.network, **dict(self.parts.items())}

    # --- a stage ---

    def _enter(self, name: str, stage: TrainingStage) -> None:
        """Freeze what the stage does not train: before a fit, never within one."""
        self._stage = (name, stage)
        for part, module in self._all_parts().items():
            module.requires_grad_(part in stage.trains)
        for key, parameter in self.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and self._moving[key])
        self.train()  # a solver or a test has left it in evaluation mode, and the trainer keeps modes

    def _leave(self) -> None:
        self._stage = None
        for key, parameter in self.named_parameters():
            parameter.requires_grad_(self._moving[key])

    def train(self, mode: bool = True) -> Staged:
        """Training mode; parts that the running stage does not train stay in evaluation mode."""
        super().train(mode)
        if mode and self._stage is not None:
            for name, module in self._all_parts().items():
                module.train(name in self._stage[1].trains)
        return self

    def _running(self) -> tuple[str, TrainingStage]:
        assert self._stage is not None  # a fit runs between _enter and _leave
        return self._stage

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """The running stage's loss of a batch, and each term beside it."""
        name, stage = self._running()
        inputs = self.values.into(batch)
        inputs |= {role: inputs[other] for role, other in self._bind.items() if other in inputs}
        step = self.batches_done() - self.steps_before - 1
        known: dict[str, Any] = dict(inputs)
        if NETWORK in stage.trains:
            known |= self.outputs(inputs)
        if stage.derive is not None:
            given = {**known, **self._all_parts(), "step": step}
            known |= stage.derive(**arguments(stage.derive, given, f"model.module.stages.{name}.derive"))
        known = {k: v.float() if isinstance(v, Tensor) and v.is_floating_point() else v for k, v in known.items()}
        absent = sorted(key for key in stage.loss.roles | stage.loss.outputs if key not in known)
        if absent:
            raise DataError(f"the loss of stage {name} reads {', '.join(absent)}; there are {', '.join(known)}")
        with torch.autocast(self.device.type, enabled=False):
            loss, terms = stage.loss(known, known, border=stage.loss_border, step=step)
        return {"loss": loss, **{f"{name}/{key}": value.detach() for key, value in terms.items()}}

    def configure_optimizers(self) -> Any:
        """The running stage's optimiser and scheduler."""
        _, stage = self._running()
        moving = [p for part in stage.trains for p in self._all_parts()[part].parameters() if p.requires_grad]
        return with_scheduler(stage.optimizer(moving), stage.scheduler, stage.scheduler_interval)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip by the norm over all values that move."""
        limit = self._running()[1].clip_norm
        if limit is not None:
            nn.utils.clip_grad_norm_([p for p in self.parameters() if p.requires_grad], limit)

    # --- all stages ---

    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Carry out the stages that are not finished; see ``Regime.learn``."""
        seconds, best = 0.0, run_dir / FOLDER / BEST
        names = list(self.stages)
        if self.until is not None:
            names = names[: names.index(self.until) + 1]
        self.steps_before = 0
        for number, name in enumerate(names, start=1):
            folder = run_dir / STAGES / f"{number:02d}_{name}"
            self.doing = f"stage {number}/{len(names)} {name}"
            record = read_record(folder) if resume else None
            with seen_as(datamodule, self.stages[name].view, name):  # type: ignore[arg-type]
                if record is not None:
                    self._take_over(folder, record)
                else:
                    record = self._carry_out(name, folder, trainer, datamodule, resume)
            self.steps_before += int(record["steps"])
            seconds += float(record["seconds"])
        content = read_checkpoint(folder / FOLDER / BEST)
        training = {**content[KEY]["training"], "steps": self.steps_before, "seconds": seconds}
        content[KEY] = {**content[KEY], "training": training}
        if trainer.is_global_zero:
            write_checkpoint(best, content)
        self.facts, self.steps_before, self.doing = dict(content[KEY]), 0, Regime.doing
        return best

    def _carry_out(
        self, name: str, folder: Path, trainer: pl.Trainer, datamodule: pl.LightningDataModule, resume: bool
    ) -> dict[str, Any]:
        stage: Any = self.stages[name]
        if isinstance(stage, TrainingStage):
            self._enter(name, stage)
            try:
                fit(self, self._stage_trainer(stage, folder, trainer), datamodule, folder, resume)
            finally:
                self._leave()
            training = self.facts["training"]
            record = {"steps": training["steps"] - self.steps_before, "seconds": training["seconds"]}
        else:
            self._solve(name, trainer, datamodule)
            if trainer.is_global_zero:
                write_checkpoint(folder / FOLDER / BEST, {"state_dict": self.state_dict(), KEY: dict(self.facts)})
            record = {"steps": 0, "seconds": 0.0}
        record |= {"name": name, "trains": list(stage.trains), "weights": self._agreed(name)}
        if trainer.is_global_zero:
            write_record(folder, record)
        return record

    def _stage_trainer(self, stage: TrainingStage, folder: Path, trainer: pl.Trainer) -> pl.Trainer:
        """A trainer for one stage: the run's settings and loggers, the stage's length and folder."""
        config = copy.deepcopy(self.facts["config"])
        config["trainer"] |= stage.length(config["trainer"])
        run = next(c for c in trainer.checkpoint_callbacks if isinstance(c, Checkpoints))
        made = build_trainer(config, folder, run.monitor, run.stop)
        made.loggers = trainer.loggers
        if NETWORK not in stage.trains:  # there is nothing new to validate
            made.limit_val_batches = 0
        return made

    def _take_over(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Take the weights of a finished stage."""
        path = folder / FOLDER / BEST
        content = read_checkpoint(path)
        load_weights(self, content["state_dict"], path)
        if _digest(self) != record["weights"]:
            raise CheckpointError(f"{path}: holds other weights than {folder / RECORD} says; remove {folder} and go on")
        self.facts = dict(content[KEY])

    def _solve(self, name: str, trainer: pl.Trainer, datamodule: pl.LightningDataModule) -> None:
        solve: Any = self.stages[name].solve
        datamodule.prepare_data()
        datamodule.setup("fit")
        home, device = self.device, trainer.strategy.root_device
        self.eval().to(device)
        batches = (self.values.into(_on(device, _whole(batch))) for batch in datamodule.train_dataloader())
        given = {**self._all_parts(), "batches": batches}
        with torch.no_grad():
            solve(**arguments(solve, given, f"model.module.stages.{name}.solve"))
        self.to(home)

    def _agreed(self, name: str) -> str:
        """Hash of all weights, the same on every process.

        Raises:
            DivergedError: processes hold different weights.
        """
        digests = gathered([_digest(self)])
        if len(set(digests)) > 1:
            raise DivergedError(
                f"stage {name}: the processes hold different weights at its end ({', '.join(d[:8] for d in digests)}); "
                "train it on one device"
            )
        return digests[0]


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()


def _whole(batch: Mapping[str, Any]) -> dict[str, Any]:
    """A batch from the shares of all processes, in the order that one process would have."""
    shares = gathered([dict(batch)])
    if len(shares) == 1:
        return shares[0]
    whole: dict[str, Any] = {}
    for key, value in batch.items():
        if isinstance(value, Tensor):
            whole[key] = torch.stack([share[key] for share in shares], dim=1).flatten(0, 1)
        else:
            whole[key] = [item for items in zip(*(share[key] for share in shares), strict=True) for item in items]
    return whole


def _on(device: torch.device, batch: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
