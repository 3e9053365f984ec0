"""What all data modules share: parts built once and cached, loaders, shares of several processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Subset

from fusionbench.data import cache
from fusionbench.data.augment import AUGMENTATIONS, flip_batch
from fusionbench.data.parts import Job, collect
from fusionbench.data.split import SUBSETS
from fusionbench.errors import ConfigError, DataError

STAGES = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": (), None: SUBSETS}
F = TypeVar("F")  # what a part knows of itself beside its arrays


class CachedPart(Generic[F]):
    """A part of a data set (a scene, a tile, a region) in the cache.

    Args:
        name: unique in the data set.
        entry: its arrays.
        facts: what every sample of it carries as metadata.
    """

    def __init__(self, name: str, entry: cache.Entry, facts: F) -> None:
        self.name, self.entry, self.facts = name, entry, facts


class SceneDataModule(pl.LightningDataModule, ABC, Generic[F]):
    """A data module whose scenes are built once, cached, and handed out by subset.

    A subclass says in ``jobs`` how the parts of a subset are made, in ``train_dataset``, ``val_dataset`` and
    ``test_dataset`` what a sample is, in ``fingerprint`` what all of it depends on, and in ``summary`` what was read.

    Args:
        name: the data set's id.
        cache: folder of the cached parts.
        batch_size: training samples a step, of all processes together.
        seed: of the run.
        workers: processes that read training batches.
        run_dir: the run's folder; None outside of a run.
        augment: ``none`` or ``flips`` (training batches of square images).
        what: said beside the progress bar while parts are built.
        parallel: build parts in several processes: pays where one takes seconds.

    Raises:
        ConfigError: a setting that is wrong.
    """

    def __init__(
        self,
        *,
        name: str,
        cache: Path,
        batch_size: int,
        seed: int,
        workers: int = 0,
        run_dir: str | None = None,
        augment: str = "none",
        what: str = "",
        parallel: bool = False,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ConfigError(f"data.batch_size={batch_size}: 1 or more")
        if augment not in AUGMENTATIONS:
            raise ConfigError(f"data.augment={augment}: one of {', '.join(AUGMENTATIONS)}")
        self.name, self.cache, self.batch_size, self.seed = name, cache, batch_size, seed
        self.workers, self.augment = workers, augment
        self.run_dir = None if run_dir is None else Path(run_dir)
        self._what, self._parallel = what or f"reading {name}", parallel
        self.loaded: dict[str, list[CachedPart[F]]] = {}  # by subset, as far as they were asked for

    # --- what a data set says of itself ---

    @abstractmethod
    def jobs(self, subset: str) -> Sequence[tuple[Job, F]]:
        """How each part of a subset (``train``, ``val``, ``test``) is built, and its facts."""

    @abstractmethod
    def train_dataset(self) -> Any:
        """Training samples; ``item(index, rng)`` gives one, ``rng`` being its only randomness."""

    @abstractmethod
    def val_dataset(self) -> Any:
        """Validation samples, one a batch, or None where there is no validation."""

    @abstractmethod
    def test_dataset(self, name: str) -> Dataset:
        """Scenes of one test set, one sample each."""

    @property
    def test_sets(self) -> list[str]:
        """Names of the test sets, in the order of `test_dataloader`."""
        return ["test"]

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """sha256 of all that the data depend on (files or seeds, split, protocol, code); known before building."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What was read, in plain values, for ``data.json`` and ``fusionbench data check``."""

    def check_fit(self) -> None:
        """Called before training, with training and validation parts loaded; DataError where they are not right."""

    def told(self) -> None:
        """Called before testing on the first process: write the record, say what a person must know."""

    # --- building ---

    def prepare_data(self) -> None:
        """Build what the cache does not hold; Lightning calls it on one process per machine."""
        stage = None if self.trainer is None or self.trainer.state.fn is None else self.trainer.state.fn.value
        self.load(STAGES.get(stage, SUBSETS))

    def setup(self, stage: str | None = None) -> None:
        """Open the cached parts for a stage (``fit``, ``validate``, ``test``; None: all).

        Raises:
            DataError: files unreadable or inconsistent, nothing to train on, training and test scenes sharing ground.
        """
        self.load(STAGES.get(stage, SUBSETS))
        if stage in ("fit", None):
            self.check_fit()
        if stage in ("test", None) and self.rank == 0:
            self.told()

    def parts(self, subset: str) -> list[CachedPart[F]]:
        """Cached parts of a subset (``train``, ``val``, ``test``)."""
        self.load((subset,))
        return self.loaded[subset]

    def load(self, subsets: Iterable[str]) -> None:
        """Build the parts of subsets where the cache does not hold them, and open them."""
        wanted = [subset for subset in subsets if subset not in self.loaded]
        if not wanted:
            return
        jobs = {subset: list(self.jobs(subset)) for subset in wanted}
        flat = [job for subset in wanted for job, _ in jobs[subset]]
        entries = iter(collect(self.cache, flat, self._what, self._parallel))
        for subset in wanted:
            self.loaded[subset] = [CachedPart(job.name, next(entries), facts) for job, facts in jobs[subset]]

    # --- loaders ---

    @property
    def rank(self) -> int:
        """Number of this process."""
        return 0 if self.trainer is None else self.trainer.global_rank

    def train_dataloader(self) -> Any:
        """Training batches, in an order given by (seed, epoch)."""
        from fusionbench.data.loader import ResumableLoader

        return ResumableLoader(self.train_dataset(), self.batch_size, self.seed, self.workers)

    def val_dataloader(self) -> Any:
        """Validation scenes, one a batch; nothing where there are none."""
        dataset = self.val_dataset()
        return [] if dataset is None else self.loader(dataset, 1, never_empty=True)

    def test_dataloader(self) -> list[DataLoader]:
        """One loader per test set, one scene a batch.

        Raises:
            DataError: there is no test scene.
        """
        sets = [self.test_dataset(name) for name in self.test_sets]
        if not sets or not any(len(dataset) for dataset in sets):  # type: ignore[arg-type]
            raise DataError(f"data={self.name}: no test scenes under this split (data.split)")
        return [self.loader(dataset, 1) for dataset in sets]

    def loader(self, dataset: Any, batch_size: int, never_empty: bool = False) -> DataLoader:
        """A loader of this process's share, in order.

        Args:
            dataset: of all processes.
            batch_size: samples a batch.
            never_empty: one scene even where there are fewer than processes, for they meet after validation, and the
                regime counts a scene once.
        """
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        rows = range(rank, len(dataset), world)
        if never_empty and not rows:
            rows = range(1)
        share = dataset if world == 1 else Subset(dataset, rows)
        return DataLoader(share, batch_size=batch_size, shuffle=False, num_workers=0)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Augment training batches on their device, from (seed, step, rank)."""
        if self.augment == "none" or self.trainer is None or not self.trainer.training:
            return batch
        return flip_batch(batch, self.seed, self.trainer.global_step, self.trainer.global_rank)

    # --- settings that several data modules have ---

    @staticmethod
    def check_seeds(simulation: Mapping[str, Any]) -> None:
        """Seeds of simulated scenes stand in one subset each.

        Raises:
            ConfigError: a seed stands twice.
        """
        seeds = [seed for subset in SUBSETS for seed in simulation.get(subset) or ()]
        twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if twice:
            raise ConfigError(f"data.simulation: seeds {twice} stand twice; every scene has a seed of its own")
