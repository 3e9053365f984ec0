"""What a search for hyperparameters reads of its trials. Torch-free."""

from __future__ import annotations

from pathlib import Path

from fusionbench.app import folder as folders
from fusionbench.evaluation.schema import read_metrics


def outcome(folder: Path) -> tuple[str, float | None]:
    """How a trial's run ended, and the best of its watched validation value; None where nothing was validated.

    Raises:
        DataError: the run's records are broken.
    """
    status = folders.status(folder)
    if status is None or status.state != "finished":
        return ("nothing" if status is None else status.state), None
    return status.state, read_metrics(folder).training.best
