"""What a regime and the app ask of an evaluator: the protocol of a task, from batches to a run's artefacts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.schema import Metrics

T = TypeVar("T")
Fuse = Callable[[Mapping[str, Any]], Tensor]


class Evaluator(ABC):
    """Which indices, in which units, on which test sets.

    The order of calls at test, on every process (each sees its own share of the scenes)::

        evaluator.begin(datamodule.test_sets, run_dir, method="pannet", kind="network")
        for every test set and every scene of it (one scene a batch):
            evaluator.observe(set_name, batch, output, seconds)
        metrics = evaluator.finish(run_dir, facts)          # rank 0: Metrics; other ranks: None

    Before them comes ``prepare``, for evaluators that need more than a method's outputs.

    While training, the regime logs what ``score`` gives for each validation batch as ``val/<index>``, averaged over
    images, and watches ``monitor``. Nothing observed is kept between processes that were interrupted: a resumed run
    observes all test scenes again.

    Attributes:
        name: as in ``metrics.json``.
        version: raised whenever a score could change.
        monitor: the validation value that chooses the checkpoint, and its better direction.
    """

    name: str
    version: int
    monitor: tuple[str, str]

    @abstractmethod
    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """Cheap indices of a validation batch, one number per image.

        Args:
            batch: with ``target`` [N,B,H,W], perhaps ``valid`` [N,1,H,W], and metadata ``bits`` and ``ratio`` [N].
            output: [N,B,H,W], scaled as the batch is.
        """

    def prepare(  # noqa: B027 (most evaluators need nothing)
        self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]
    ) -> None:
        """Take what an evaluator may need beside batches and outputs; called before ``begin``. Here: nothing.

        Args:
            datamodule: of the run.
            fuse: the method under test: batch -> [N,B,H,W], scaled as the batch is.
            at_ratio: the same method with the same weights for another ratio; raises UserError where it cannot.
        """

    @abstractmethod
    def begin(self, test_sets: Sequence[str], run_dir: Path, method: str, kind: str = "network") -> None:
        """Forget earlier observations and prepare for these test sets.

        Args:
            test_sets: names, in the order in which they are printed.
            run_dir: the run folder, which gets ``figures/``.
            method: the id of the method under test; a comparison row of the same name is left out.
            kind: ``network``, ``classical`` or ``interpolation``.
        """

    @abstractmethod
    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None:
        """Compute every index for one scene, for the method and for its comparison rows.

        Args:
            set_name: one of those given to ``begin``.
            batch: one scene, tensors under roles and metadata.
            output: [1,B,H,W], scaled as the batch is.
            seconds: what the fusion alone took; None where it was not measured.
        """

    @abstractmethod
    def finish(self, run_dir: Path, facts: RunFacts) -> Metrics | None:
        """Gather what all processes observed; write ``metrics.json``, ``scenes.csv``, ``figures/``, ``report.html``.

        Returns:
            The metrics on rank 0, None on other ranks.

        Raises:
            DataError: no scene was observed.
        """


def gather(items: list[T]) -> list[T] | None:
    """All processes' items on rank 0, in the order of ranks; None on other ranks."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return items
    shares: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(shares, items)
    if distributed.get_rank() != 0:
        return None
    return [item for share in shares for item in share]
