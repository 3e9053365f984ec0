"""The training loader: order by (seed, epoch), items random by (seed, epoch, index), resumable at any batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fusionbench.errors import CheckpointError, ConfigError, DataError


class Items(Protocol):
    """A data set whose items take their randomness from outside."""

    def __len__(self) -> int: ...

    def item(self, index: int, rng: np.random.Generator) -> Any: ...


class ResumableLoader:
    """Batches of a data set, the same whatever the number of workers, and exactly resumable in the middle of an epoch.

    An iteration is one epoch, or what is left of one after ``load_state_dict``; the next iteration is the next epoch.
    The state counts batches handed out, not those that workers have fetched ahead. Where several processes train
    together, each gets its share of every batch, so that steps are the same for any number of processes.

    Args:
        dataset: gives ``item(index, rng)``.
        batch_size: samples of one step, of all processes together. What does not fill a batch is left out of the epoch.
        seed: of the order and of the items.
        workers: processes that read ahead; 0: in this one.

    Raises:
        DataError: fewer samples than a batch takes.
        ConfigError: the batch cannot be shared evenly among the processes.
    """

    def __init__(self, dataset: Items, batch_size: int, seed: int, workers: int = 0) -> None:
        if len(dataset) < batch_size:
            raise DataError(f"data.batch_size={batch_size}, but there are only {len(dataset)} training samples")
        self.dataset, self.batch_size, self.seed, self.workers = dataset, batch_size, seed, workers
        self.epoch = 0
        self.handed_out = 0
        rank, world = _processes()
        if batch_size % world:
            raise ConfigError(
                f"data.batch_size={batch_size}: must be a multiple of the {world} processes that share it"
            )
        self._plan = _Plan(len(dataset), batch_size, seed, rank, world)
        self._loader: DataLoader = DataLoader(
            _Seeded(dataset, seed),
            batch_sampler=self._plan,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def __len__(self) -> int:
        return len(self.dataset) // self.batch_size

    def __iter__(self) -> Iterator[Any]:
        if self.handed_out >= len(self):
            self.epoch, self.handed_out = self.epoch + 1, 0
        self._plan.epoch, self._plan.first = self.epoch, self.handed_out
        for batch in self._loader:
            self.handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the next batch comes from, and what the order depends on."""
        return {
            "epoch": self.epoch,
            "handed_out": self.handed_out,
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "seed": self.seed,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue behind the last batch handed out.

        Raises:
            CheckpointError: the state belongs to another order of data.
        """
        here = self.state_dict()
        for key in ("samples", "batch_size", "seed"):
            if state[key] != here[key]:
                raise CheckpointError(
                    f"the checkpoint was trained with {key}={state[key]}, the training data have {key}={here[key]}: "
                    "the order of samples cannot be continued"
                )
        self.epoch, self.handed_out = state["epoch"], state["handed_out"]


class _Plan:
    """Which samples each batch of an epoch takes: ``(epoch, index)`` pairs of this process's share."""

    def __init__(self, samples: int, batch_size: int, seed: int, rank: int, world: int) -> None:
        self.samples, self.batch_size, self.seed, self.rank, self.world = samples, batch_size, seed, rank, world
        self.epoch = 0
        self.first = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.epoch
        order = np.random.default_rng([self.seed, epoch]).permutation(self.samples)
        for number in range(self.first, self.samples // self.batch_size):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield [(epoch, int(index)) for index in batch[self.rank :: self.world]]

    def __len__(self) -> int:
        return self.samples // self.batch_size - self.first


class _Seeded(Dataset):
    """Gives every item a generator of its own."""

    def __init__(self, dataset: Items, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Sequence[int]) -> Any:
        epoch, index = key
        return self.dataset.item(index, np.random.default_rng([self.seed, epoch, index]))


def _processes() -> tuple[int, int]:
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
