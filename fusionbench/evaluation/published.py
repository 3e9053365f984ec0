"""Published result tables beside what was measured here. Torch-free.

A measured value stands beside a published one only where data set, collection and test set are the same, and never from
simulated data. A difference is called one only where the variants of the index are known and equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fusionbench.errors import DataError
from fusionbench.evaluation.records import decode
from fusionbench.evaluation.schema import Metrics, read_metrics

KINDS = {
    "equal": "counts that must be equal",
    "rescore": "published weights, tested again",
    "retrain": "methods to run or to train",
}
CERTAINTIES = ("read", "recomputed", "memory")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class PublishedMetric:
    """A column: ``better`` is min, max or equal."""

    name: str
    unit: str
    better: str


@dataclass(frozen=True)
class PublishedRow:
    """A line: mean and, where printed, standard deviation per column; how sure the value is, and where it stands."""

    method: str
    label: str
    published: dict[str, list[float | None]]
    certainty: str
    source: str
    variant: str | None = None
    ours: bool = True

    def __post_init__(self) -> None:
        if self.certainty not in CERTAINTIES:
            raise DataError(f"certainty={self.certainty}: one of {', '.join(CERTAINTIES)}")

    @property
    def title(self) -> str:
        """The label with its variant."""
        return self.label if self.variant is None else f"{self.label} ({self.variant})"


@dataclass(frozen=True)
class PublishedTable:
    """``configs/table/<id>.yaml``. ``settings`` are what a run's configuration must say to count for this table."""

    title: str
    task: str
    data: str | None
    set: str
    kind: str
    protocol: str
    test_set: str
    paper: dict[str, Any]
    metrics: list[PublishedMetric]
    rows: list[PublishedRow]
    collection: str | None = None
    bands: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    variant: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"kind={self.kind}: one of {', '.join(KINDS)}")
        columns = {metric.name for metric in self.metrics}
        for row in self.rows:
            if set(row.published) - columns:
                raise DataError(f"row {row.title}: {sorted(set(row.published) - columns)} stand in no column")

    @property
    def on_readable_data(self) -> bool:
        """Whether a collection that fusionbench reads holds this test set."""
        return self.data is not None and self.collection is not None


@dataclass(frozen=True)
class Measured:
    """A value of ours, its number of scenes, the run it is from, what sets it apart, and its indices' options."""

    value: float
    n: int
    run: str
    caveats: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run's results and its resolved configuration."""

    folder: Path
    metrics: Metrics
    config: dict[str, Any]


def read_table(content: Mapping[str, Any], where: str) -> PublishedTable:
    """A table from its file's content.

    Raises:
        DataError: a key is missing, unknown or of another kind.
    """
    table: PublishedTable = decode(PublishedTable, content, where)
    return table


def read_runs(folder: Path) -> list[Run]:
    """Every run below a folder that left results, oldest first."""
    found = []
    for file in sorted(folder.rglob("metrics.json"), key=lambda path: path.stat().st_mtime):
        config = file.with_name("config.yaml")
        content = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
        found.append(Run(file.parent, read_metrics(file.parent), content or {}))
    return found


def counts_for(table: PublishedTable, run: Run) -> bool:
    """Whether a run was tested on the table's own test set: real data, same collection, set and settings."""
    data = run.metrics.data
    return (
        table.on_readable_data
        and not data.simulated
        and (data.id, data.collection) == (table.data, table.collection)
        and table.set in run.metrics.sets
        and all(_value(run.config, key) == value for key, value in table.settings.items())
    )


def _value(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def measured(table: PublishedTable, row: PublishedRow, metric: str, runs: Iterable[Run]) -> Measured | None:
    """Our value for one cell: of the newest run of the published recipe, else of the newest of any; None if none."""
    best: tuple[bool, Measured] | None = None
    for run in runs:
        test_set = run.metrics.sets.get(table.set)
        ours = None if test_set is None or not counts_for(table, run) else test_set.rows.get(row.method)
        if ours is None or row.variant is not None:
            continue
        name = metric if metric != "Q2n" else next((i for i in ours.values if i[0] == "Q" and i[1:].isdigit()), metric)
        if name not in ours.values:
            continue
        caveats, trained = [], ours.kind == "network" and ours.name == run.metrics.method
        paper = not trained or run.metrics.training.recipe in ("paper", "")
        if not paper:
            caveats.append(f"trained by recipe {run.metrics.training.recipe}, not the published one")
        if trained and run.metrics.training.trained_on not in ("", table.data):
            caveats.append(f"trained on {run.metrics.training.trained_on}")
        value = Measured(
            ours.values[name].mean, ours.values[name].n, run.folder.name, tuple(caveats), run.metrics.evaluator.options
        )
        if best is None or paper >= best[0]:
            best = (paper, value)
    return None if best is None else best[1]


def differing(table: PublishedTable, settings: Mapping[str, Any]) -> list[str]:
    """Why a difference between published and measured values would not mean what it says: variants of the indices.

    Args:
        table: with ``variant``: what the source says of border, clipping, peak and block.
        settings: the same for our indices.
    """
    found = []
    for key, theirs in table.variant.items():
        ours = settings.get(key, UNKNOWN)
        if theirs == UNKNOWN:
            found.append(f"{key} unknown (ours: {ours})")
        elif theirs != ours:
            found.append(f"{key} {theirs} (ours: {ours})")
    return found


def visible(rows: Sequence[PublishedRow], everything: bool) -> list[PublishedRow]:
    """Rows to print: those quoted from memory only on request."""
    return [row for row in rows if everything or row.certainty != "memory"]
