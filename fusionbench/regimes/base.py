"""What all regimes share: the call of the network, the value range, validation, testing, checkpoint facts."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError
from fusionbench.networks.roles import Roles, device_of
from fusionbench.regimes.checkpoint import KEY
from fusionbench.regimes.values import ValueRange

MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class Scorer(Protocol):
    """What a regime asks of an evaluator."""

    monitor: tuple[str, str]

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]: ...

    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None: ...


class Regime(pl.LightningModule, ABC):
    """A method and how it learns.

    Args:
        network: what fuses: ``forward(**roles)`` gives an image [N,B,H,W], or a dict whose ``output`` is one.
        value_range: the range of values the network works in, see ``ValueRange``.

    Attributes:
        evaluator: scores validation and test images; None until attached.
        facts: what a checkpoint of this regime knows of itself.
        steps_before: batches of fits that went before the running one.
        doing: what the progress bar says of a fit.
    """

    steps_before = 0
    doing = "training"

    def __init__(self, network: nn.Module, value_range: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer test scenes than processes
        self.network = network
        self.values = ValueRange.from_mapping(value_range)
        self.evaluator: Scorer | None = None
        self.facts: dict[str, Any] = {}
        self.memory_format = torch.contiguous_format
        self._roles = Roles.of(network)
        self._bind: dict[str, str] = {}
        self._offered: list[str] | None = None
        self._scores: list[tuple[str, dict[str, float]]] = []
        self._warm: set[str] = set()

    def attach(self, evaluator: Scorer | None, facts: Mapping[str, Any]) -> None:
        """Give the regime its evaluator and the facts for its checkpoints (``checkpoint_facts``)."""
        self.evaluator, self.facts = evaluator, dict(facts)
        self._bind = dict((self.facts.get("card") or {}).get("bind") or {})
        data = (self.facts.get("config") or {}).get("data") or {}
        self._offered = (data.get("card") or {}).get("roles")

    def use_memory_format(self, name: str) -> None:
        """Lay weights and images out in memory as ``channels_last`` or ``contiguous``; results agree up to rounding.

        Raises:
            ConfigError: another name.
        """
        if name not in MEMORY_FORMATS:
            raise ConfigError(f"trainer.memory_format={name}: one of {', '.join(MEMORY_FORMATS)}")
        self.memory_format = MEMORY_FORMATS[name]
        self.network.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    @abstractmethod
    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Learn, leave the best state in this regime, and return its checkpoint.

        Args:
            trainer: of ``build_trainer``.
            datamodule: gives training and validation batches.
            run_dir: the run folder; checkpoints lie in ``checkpoints/``.
            resume: continue from ``last.ckpt`` where there is one.
        """

    # --- fusing ---

    def outputs(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """All outputs of the network for a batch in its own value range; ``output`` is the fused image."""
        found = self.network(**self._roles.take(batch, self._bind, self.memory_format, self._offered))
        return dict(found) if isinstance(found, Mapping) else {"output": found}

    def fuse(self, batch: Mapping[str, Any]) -> Tensor:
        """The fused image [N,B,H,W] in the batch's units, always computed in full precision.

        Args:
            batch: tensors under roles and metadata.
        """
        with torch.autocast(device_of(batch).type, enabled=False):
            output = self.outputs(self.values.into(batch))["output"]
            return self.values.back(output.contiguous(), batch)

    # --- training: what every regime does ---

    def batches_done(self) -> int:
        """Batches trained on so far, the running one included: all lengths, logs and checkpoints count these."""
        return self.steps_before + self.trainer.fit_loop.epoch_loop.total_batch_idx + 1

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Randomness of a step comes from (seed, step, rank) alone, so that a resumed run draws the same."""
        seed = int((self.facts.get("config") or {}).get("seed") or 0)
        key = np.random.SeedSequence([seed, self.batches_done(), self.global_rank])
        number = int(key.generate_state(1, np.uint64)[0])
        torch.default_generator.manual_seed(number)  # torch.manual_seed costs milliseconds where there is no GPU
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the checkpoint know what it is."""
        checkpoint[KEY] = dict(self.facts)

    # --- validation ---

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Score the images of a batch by the evaluator's cheap indices."""
        if self.evaluator is None:
            raise ConfigError("evaluator: the regime validates with the data set's evaluator, and has none")
        scores = self.evaluator.score(batch, self.fuse(batch))
        names = [str(name) for name in batch["scene"]]
        self._scores += [(name, {k: v[i] for k, v in scores.items()}) for i, name in enumerate(names)]

    def on_validation_epoch_end(self) -> None:
        """Log the mean of every index over all processes' images: the same for any number of processes."""
        scores, self._scores = dict(gathered(self._scores)), []
        if not scores:
            return
        rows = [scores[name] for name in sorted(scores)]
        means = {f"val/{k}": math.fsum(row[k] for row in rows) / len(rows) for k in rows[0]}
        self.log_dict(means, logger=False)
        for logger in self.loggers:
            logger.log_metrics(means, self.batches_done())

    # --- test ---

    def test_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Fuse one scene, take the time, hand it to the evaluator."""
        if self.evaluator is None:
            raise ConfigError("evaluator: the regime tests with the data set's evaluator, and has none")
        name = self.trainer.datamodule.test_sets[dataloader_idx]  # type: ignore[attr-defined]
        if name not in self._warm:  # the first call allocates and picks kernels
            self._warm.add(name)
            self.fuse(batch)
        started = self._clock()
        output = self.fuse(batch)
        seconds = self._clock() - started
        self.evaluator.observe(name, batch, output, seconds)

    def _clock(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def gathered(items: list[Any]) -> list[Any]:
    """The items of all processes, in the order of the processes."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return items
    shares: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(shares, items)
    return [item for share in shares for item in share]
