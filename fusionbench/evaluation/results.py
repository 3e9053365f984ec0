"""All runs below a folder, read from ``status.json``, ``metrics.json`` and ``scenes.csv`` only. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fusionbench.errors import DataError
from fusionbench.evaluation.schema import Metrics, SceneRow, Status, read_metrics, read_scenes, read_status


@dataclass(frozen=True)
class Run:
    """One run folder.

    Args:
        folder: where it lies.
        name: relative to the folder that was searched.
        state: as in ``status.json``; ``unreadable`` where its files do not fit.
        reason: why there are no scores.
        metrics, scenes: of a finished run, else None and empty.
        status: None for an evaluation inside another run.
    """

    folder: Path
    name: str
    state: str
    reason: str = ""
    metrics: Metrics | None = None
    scenes: list[SceneRow] = field(default_factory=list)
    status: Status | None = None


@dataclass(frozen=True)
class Results:
    """Finished runs with their scores, and the others with the reason why they have none."""

    folder: Path
    runs: list[Run]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read every run below a folder, in order of their names.

        Raises:
            DataError: there is no such folder, or no run below it.
        """
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder; runs lie in outputs/ (paths.outputs)")
        places = {path.parent for name in ("status.json", "metrics.json") for path in folder.rglob(name)}
        if not places:
            raise DataError(f"{folder}: no run below this folder (no status.json); train one, or name another folder")
        return cls(folder, [_read(place, folder) for place in sorted(places)])

    @property
    def finished(self) -> list[tuple[Run, Metrics]]:
        """Runs with scores."""
        return [(run, run.metrics) for run in self.runs if run.metrics is not None]

    @property
    def others(self) -> list[Run]:
        """Runs without scores."""
        return [run for run in self.runs if run.metrics is None]


def _read(place: Path, root: Path) -> Run:
    name = place.relative_to(root).as_posix()
    name = place.name if name == "." else name
    try:
        status = read_status(place) if (place / "status.json").is_file() else None
        if status is not None and status.state != "finished":
            return Run(place, name, status.state, status.reason or "", status=status)
        return Run(place, name, "finished", "", read_metrics(place), read_scenes(place), status)
    except DataError as error:
        return Run(place, name, "unreadable", str(error))
