"""A generator that learns against critics, with or without a reference."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError
from fusionbench.losses import LossSet
from fusionbench.losses.adversarial import Labels, Objective
from fusionbench.regimes.base import Regime
from fusionbench.regimes.callbacks import diverged
from fusionbench.regimes.critic import Critic
from fusionbench.regimes.supervised import INTERVALS
from fusionbench.regimes.training import fit

ORDERS = ("critics_first", "generator_first")


class Adversarial(Regime):
    """A generator, named critics, and the losses of both; one batch is one step, whoever is updated in it.

    What losses and critics may read by name: the roles of the batch, the network's outputs, and what ``helpers`` derive
    from those.

    Args:
        network: the generator, see ``Regime``.
        critics: by name; see ``Critic``.
        objective: what critics and generator want of the scores.
        loss: terms of the generator beside the critics' judgement.
        optimizer: partial of an optimiser, for the generator and the helpers' trainable values.
        scheduler: partial of a learning rate scheduler, for the generator; None: constant.
        scheduler_interval: what all schedulers count, ``epoch`` or ``step`` (batches).
        helpers: modules that derive tensors in training: ``forward`` names what it reads (``network`` is the generator)
            and returns a dict; called in order.
        view: module that makes the inputs of training from a batch, in the same manner; None: the batch itself.
        critic_steps: updates of each critic per batch, on the same images.
        order: ``critics_first`` or ``generator_first``; the latter shows the critics freshly generated images.
        clip_norm: largest norm of the generator's gradient; None: not clipped.
        loss_border: px at the edges of the target that do not count in the loss.
        value_range: see ``ValueRange``; losses and critics work in it.

    Raises:
        ConfigError: a setting that is none of those possible.
    """

    def __init__(
        self,
        network: nn.Module,
        critics: Mapping[str, Critic],
        objective: Objective,
        loss: LossSet,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None = None,
        scheduler_interval: str = "epoch",
        helpers: Mapping[str, nn.Module] | None = None,
        view: nn.Module | None = None,
        critic_steps: int = 1,
        order: str = "critics_first",
        clip_norm: float | None = None,
        loss_border: int = 0,
        value_range: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(network, value_range)
        self.automatic_optimization = False
        for key, value, known in (("order", order, ORDERS), ("scheduler_interval", scheduler_interval, INTERVALS)):
            if value not in known:
                raise ConfigError(f"model.module.{key}={value}: one of {', '.join(known)}")
        if not critics:
            raise ConfigError("model.module.critics is empty: name at least one, or use the regime Supervised")
        if critic_steps < 1 or loss_border < 0 or (clip_norm is not None and clip_norm <= 0):
            raise ConfigError(
                f"model.module: critic_steps={critic_steps}, loss_border={loss_border}, clip_norm={clip_norm}; "
                "critic_steps is 1 or more, loss_border 0 or more, clip_norm above 0 or null"
            )
        self.critics = nn.ModuleDict(dict(critics))
        self.objective, self.loss, self.view = objective, loss, view
        self.helpers = nn.ModuleDict(dict(helpers or {}))
        self.critic_steps, self.order, self.loss_border = critic_steps, order, loss_border
        self.scheduler_interval, self.clip_norm = scheduler_interval, clip_norm
        self._optimizer, self._scheduler = optimizer, scheduler
        self._looked = 0

    # --- optimisers ---

    def configure_optimizers(self) -> Any:
        """Optimisers of the generator and of each critic, and the schedulers there are; this regime steps them itself.

        Raises:
            ConfigError: a scheduler that waits for a measured value: its state could not be resumed exactly.
        """
        parts = [(self._own(), self._optimizer, self._scheduler)]
        parts += [(list(c.parameters()), c.optimizer, c.scheduler) for c in self._critics().values()]
        optimizers, schedulers = [], []
        for parameters, optimizer, scheduler in parts:
            optimizers.append(optimizer([p for p in parameters if p.requires_grad]))
            if scheduler is not None:
                schedulers.append(scheduler(optimizers[-1]))
                if isinstance(schedulers[-1], torch.optim.lr_scheduler.ReduceLROnPlateau):
                    raise ConfigError(
                        "model.module.scheduler: ReduceLROnPlateau is not offered; use one that counts epochs or steps"
                    )
        return optimizers, [{"scheduler": s, "interval": self.scheduler_interval} for s in schedulers]

    def _own(self) -> list[nn.Parameter]:
        """Values that the generator's optimiser moves."""
        return [*self.network.parameters(), *self.helpers.parameters()]

    def _critics(self) -> dict[str, Critic]:
        return {name: critic for name, critic in self.critics.items() if isinstance(critic, Critic)}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip; the precision plugin has unscaled the gradients by then."""
        limits = [self.clip_norm, *(critic.clip_norm for critic in self._critics().values())]
        made = self.optimizers(use_pl_optimizer=False)
        limit = next(limit for limit, one in zip(limits, made, strict=True) if one is optimizer)  # type: ignore[arg-type]
        if limit is not None:
            nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], limit)

    def _update(self, number: int, loss: Tensor) -> None:
        """One step of an optimiser: 0 is the generator's, then the critics' in order."""
        optimizer: Any = self.optimizers()[number]  # type: ignore[index]
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    # --- a step ---

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Update critics and generator on a batch; the generator's loss, and every term and critic beside it."""
        inputs = self._inputs(batch)
        labels = self.objective.draw()
        logs: dict[str, Tensor] = {}
        if self.order == "critics_first":
            known = self._generate(inputs)
            self._teach(known, labels, logs)
            total = self._learn_from(known, inputs, labels, logs)
        else:
            total = self._learn_from(self._generate(inputs), inputs, labels, logs)
            with torch.no_grad():
                known = self._generate(inputs)
            self._teach(known, labels, logs)
        self._step_schedulers()
        return {"loss": total.detach(), **{name: value.detach() for name, value in logs.items()}}

    def _inputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        inputs = self.values.into(batch)
        inputs |= {role: inputs[name] for role, name in self._bind.items() if name in inputs}
        if self.view is not None:
            inputs |= self.view(**arguments(self.view, inputs, "model.module.view"))
        return inputs

    def _generate(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that losses and critics may read: inputs, outputs, and what is derived from them."""
        found = self.network(**self._roles.take(inputs, {}, self.memory_format))
        outputs = dict(found) if isinstance(found, Mapping) else {"output": found}
        known: dict[str, Any] = {**inputs, **{name: value.float() for name, value in outputs.items()}}
        for name, helper in self.helpers.items():
            given = arguments(helper, {**known, "network": self.network}, f"model.module.helpers.{name}")
            known |= {key: value.float() for key, value in helper(**given).items()}
        return known

    def _teach(self, known: Mapping[str, Any], labels: Labels, logs: dict[str, Tensor]) -> None:
        """Update each critic ``critic_steps`` times."""
        known = {k: v.detach() if isinstance(v, Tensor) else v for k, v in known.items()}
        for _ in range(self.critic_steps):
            for number, (name, critic) in enumerate(self._critics().items(), start=1):
                real, fake = critic.sides(known)
                loss = self.objective.critic(critic(**real).float(), critic(**fake).float(), labels)
                with torch.autocast(self.device.type, enabled=False):
                    penalty = self.objective.penalty(critic, real, fake)
                if penalty is not None:
                    loss = loss + penalty
                self._update(number, loss)
                logs[f"critic/{name}"] = loss

    def _learn_from(
        self, known: Mapping[str, Any], inputs: Mapping[str, Any], labels: Labels, logs: dict[str, Tensor]
    ) -> Tensor:
        """Update the generator; its whole loss."""
        absent = sorted(name for name in self.loss.roles | self.loss.outputs if name not in known)
        if absent:
            raise DataError(f"the loss reads {', '.join(absent)}, in training there are {', '.join(known)}")
        with torch.autocast(self.device.type, enabled=False):
            total, terms = self.loss(known, known, border=self.loss_border, step=self.batches_done() - 1)
        logs |= terms
        with _frozen(self.critics):
            for name, critic in self._critics().items():
                real, fake = critic.sides(known)
                scores = critic(**fake).float()
                judged = self.objective.generator(
                    critic(**real).float() if self.objective.relativistic else None, scores, labels
                )
                logs[f"adversarial/{name}"] = judged
                total = total + critic.weight * judged
                if critic.feature_weight:
                    logs[f"features/{name}"] = critic.distance(real, fake)
                    total = total + critic.feature_weight * logs[f"features/{name}"]
            self._update(0, total)
        return total

    def _step_schedulers(self) -> None:
        """At the end of a step or of an epoch's last one: a state saved behind it has them stepped."""
        found = self.lr_schedulers()
        if found is None or (self.scheduler_interval == "epoch" and not self.trainer.is_last_batch):
            return
        for scheduler in found if isinstance(found, list) else [found]:
            scheduler.step()  # type: ignore[call-arg]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop when a critic's loss is not finite; on a GPU a look waits for the device, so not at every step.

        Raises:
            DivergedError: naming the critic.
        """
        self._looked += 1
        every = int(self.trainer.log_every_n_steps) or 1  # type: ignore[attr-defined]
        if self.device.type != "cpu" and self._looked % every and not self.trainer.should_stop:
            return
        for name in self.critics:
            value = float(outputs[f"critic/{name}"])
            if not math.isfinite(value):
                raise diverged(self.trainer, self.batches_done(), f"the loss of the critic {name} is {value}")

    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Train; see ``Regime.learn``. The best checkpoint is chosen by the evaluator's index, not by a loss."""
        return fit(self, trainer, datamodule, run_dir, resume)


def arguments(module: nn.Module, known: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What ``module.forward`` names, from what is known.

    Raises:
        DataError: it names something that is not there.
    """
    names = list(inspect.signature(module.forward).parameters)
    absent = [name for name in names if name not in known]
    if absent:
        raise DataError(f"{where}: {type(module).__name__} reads {', '.join(absent)}; there are {', '.join(known)}")
    return {name: known[name] for name in names}


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """The module's values get no gradient inside; gradients pass through it."""
    moving = [p for p in module.parameters() if p.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)
