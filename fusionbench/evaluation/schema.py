"""The files a run leaves behind: status.json, metrics.json, scenes.csv, environment.json. Torch-free.

Leaderboard, tables and pages read these and nothing else. Checked when written and when read.
"""

from __future__ import annotations

import csv
import io
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fusionbench.errors import DataError
from fusionbench.evaluation.records import read_record, write_record, write_text

# raised when a file of an older version could be misread
SCHEMA = 1

STATES = ("running", "finished", "failed", "skipped", "interrupted", "pruned")
KINDS = ("network", "classical", "interpolation", "reference")  # reference: the ceiling of an application, no method
DIRECTIONS = ("max", "min")
CHANGED = "@"  # in the name of a test set whose inputs were changed: reduced@shift=0.5


@dataclass(frozen=True)
class Status:
    """How a run stands. ``reason`` is said for every state but running and finished."""

    state: str
    reason: str | None = None
    run: str | None = None
    model: str | None = None
    data: str | None = None
    seed: int | None = None
    started: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    pid: int | None = None
    host: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        _one_of("status.state", self.state, STATES)
        if self.state in ("failed", "skipped", "pruned") and not self.reason:
            raise DataError(f"status.reason: a run that {self.state} must say why")


@dataclass(frozen=True)
class IndexInfo:
    """What an index is: direction max or min (better), unit, digits to print, and the variant computed.

    ``exp_trivial``: plain interpolation is near the ideal by construction (spectral distortion of EXP), so it is
    neither marked best nor used as a floor.
    """

    direction: str
    unit: str = ""
    digits: int = 4
    variant: str = ""
    exp_trivial: bool = False

    def __post_init__(self) -> None:
        _one_of("index.direction", self.direction, DIRECTIONS)


@dataclass(frozen=True)
class Value:
    """Mean over ``n`` scenes and their standard deviation (n - 1; none for one scene)."""

    mean: float
    std_scenes: float | None
    n: int

    def __post_init__(self) -> None:
        if self.n < 2 and self.std_scenes is not None:
            raise DataError(f"value.std_scenes: {self.std_scenes} for n = {self.n}; there is none below two scenes")


@dataclass(frozen=True)
class Row:
    """One method on one test set: ``title`` as printed; ``skipped`` says why it has no values."""

    name: str
    title: str
    kind: str
    n: int
    values: dict[str, Value] = field(default_factory=dict)
    seconds_per_mpx: float | None = None
    knowledge: str = "none"
    skipped: str | None = None

    def __post_init__(self) -> None:
        _one_of("row.kind", self.kind, KINDS)
        if self.values and self.skipped is not None:
            raise DataError(f"row {self.name}: skipped ({self.skipped}) and yet has values")


@dataclass(frozen=True)
class Shift:
    """Registration of one scene: PAN against MS in PAN px (rows down, columns right), R2 before and after."""

    dy: float
    dx: float
    r2_before: float
    r2_after: float
    warned: bool


@dataclass(frozen=True)
class Scene:
    """One test scene: size in target px, share of valid px, numbers that tell its pixels from any others'."""

    height: int
    width: int
    valid_share: float = 1.0
    signature: list[float] = field(default_factory=list)
    shift: Shift | None = None


@dataclass(frozen=True)
class TestSet:
    """All rows on one test set, over the same scenes; ``indices`` in the order to print."""

    __test__ = False

    title: str
    indices: list[str]
    scenes: dict[str, Scene]
    rows: dict[str, Row]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DataInfo:
    """What was tested on. ``options`` are those that change the pixels (grid, alignment, fold, knowledge ...)."""

    id: str
    name: str = ""
    simulated: bool = False
    sensor: str = ""
    bands: int | None = None
    ratio: int | None = None
    bits: int | None = None
    collection: str = ""
    fingerprint: str = ""
    card_version: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelInfo:
    """Which method: ``settings`` is a hash of everything that decides the result but the seed.
    ``optimised``: spectral indices that its loss holds."""

    id: str
    name: str = ""
    regime: str = ""
    year: int | None = None
    knowledge: str = "none"
    parameters: int | None = None
    parts: dict[str, int] = field(default_factory=dict)
    settings: str = ""
    variant: str = ""
    notes: list[str] = field(default_factory=list)
    optimised: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Training:
    """What the training took. ``converged``: the watched validation value fell by less than 2 % in the last quarter."""

    recipe: str = ""
    steps: int | None = None
    samples: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    converged: bool | None = None
    improvement: float | None = None
    watched: str = ""
    best: float | None = None  # of the watched value
    trained_on: str = ""
    trained_on_simulated: bool | None = None
    selected_on: str = "validation"


@dataclass(frozen=True)
class EvaluatorInfo:
    """Which protocol and which version of it; the version is raised whenever a score could change."""

    name: str
    version: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """One picture of the figures folder. Pictures of equal ``stretch`` may stand side by side."""

    file: str
    set: str
    scene: str
    method: str
    kind: str
    stretch: list[float] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """A small table of what an evaluator concludes: a heading per column, rows as printed, sentences under them."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise DataError(f"finding {self.title!r}: every row has {len(self.columns)} cells, one per column")


@dataclass(frozen=True)
class Metrics:
    """metrics.json. ``method`` names the run's own row; all others are comparison rows on the same scenes."""

    run: str
    method: str
    label: str
    seed: int | None
    data: DataInfo
    model: ModelInfo
    training: Training
    evaluator: EvaluatorInfo
    indices: dict[str, IndexInfo]
    sets: dict[str, TestSet]
    labels: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    peak_memory_mb: float | None = None
    flags: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for name, test_set in self.sets.items():
            unknown = [i for i in test_set.indices if i not in self.indices]
            if unknown:
                raise DataError(f"metrics.sets.{name}.indices: {unknown[0]!r} is not described under metrics.indices")
            for row in test_set.rows.values():
                unknown = [i for i in row.values if i not in test_set.indices]
                if unknown:
                    raise DataError(f"metrics.sets.{name}.rows.{row.name}: {unknown[0]!r} is no index of this set")


@dataclass(frozen=True)
class Environment:
    """environment.json: what a result depends on beside the configuration."""

    versions: dict[str, str]
    python: str
    platform: str
    device: str
    devices: int
    precision: str
    threads: int
    commit: str | None
    dirty: bool | None
    seed: int | None
    fingerprint: str
    wall_seconds: float | None
    peak_memory_mb: float | None
    peak_device_memory_mb: float | None = None
    code: str = ""  # sha256 of fusionbench's source; empty in records that are older than it
    schema: int = SCHEMA


@dataclass(frozen=True)
class SceneRow:
    """One line of scenes.csv: a method on a scene of a test set. Shift in PAN px; seconds for the fusion alone."""

    set: str
    scene: str
    method: str
    kind: str
    values: dict[str, float]
    shift_dy: float | None = None
    shift_dx: float | None = None
    r2_before: float | None = None
    r2_after: float | None = None
    valid_share: float = 1.0
    seconds: float | None = None


_FIXED = ("set", "scene", "method", "kind")
_MEASURED = ("shift_dy", "shift_dx", "r2_before", "r2_after", "valid_share", "seconds")


def write_status(folder: Path, status: Status) -> None:
    """Write ``status.json`` into a run folder."""
    write_record(folder / "status.json", status)


def read_status(folder: Path) -> Status:
    """Read ``status.json``. Raises DataError where it is missing or does not fit."""
    return _checked(read_record(Status, folder / "status.json"), folder / "status.json")


def update_status(folder: Path, state: str, reason: str | None = None, exit_code: int | None = None) -> Status:
    """Change the state of a run that has a status, keeping its names; set the time it ended."""
    ended = None if state == "running" else now()
    status = replace(read_status(folder), state=state, reason=reason, exit_code=exit_code, ended=ended)
    write_status(folder, status)
    return status


def write_metrics(folder: Path, metrics: Metrics) -> None:
    """Write ``metrics.json`` into a run folder."""
    write_record(folder / "metrics.json", metrics)


def read_metrics(folder: Path) -> Metrics:
    """Read ``metrics.json``. Raises DataError where it is missing or does not fit."""
    return _checked(read_record(Metrics, folder / "metrics.json"), folder / "metrics.json")


def write_environment(folder: Path, environment: Environment) -> None:
    """Write ``environment.json`` into a run folder."""
    write_record(folder / "environment.json", environment)


def read_environment(folder: Path) -> Environment:
    """Read ``environment.json``. Raises DataError where it is missing or does not fit."""
    return _checked(read_record(Environment, folder / "environment.json"), folder / "environment.json")


def write_scenes(folder: Path, rows: Sequence[SceneRow]) -> None:
    """Write ``scenes.csv``: numbers with all their digits, an empty cell where a value does not exist."""
    indices = list(dict.fromkeys(name for row in rows for name in row.values))
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow([*_FIXED, *indices, *_MEASURED])
    for row in rows:
        values = [row.values.get(name) for name in indices]
        measured = [getattr(row, name) for name in _MEASURED]
        out.writerow(
            [*(getattr(row, n) for n in _FIXED), *("" if v is None else repr(v) for v in [*values, *measured])]
        )
    write_text(folder / "scenes.csv", text.getvalue())


def read_scenes(folder: Path) -> list[SceneRow]:
    """Read ``scenes.csv``.

    Raises:
        DataError: the file is missing, a column is, or a cell is no number; file, line and column are named.
    """
    path = folder / "scenes.csv"
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    header = lines[0] if lines else []
    missing = [c for c in (*_FIXED, *_MEASURED) if c not in header]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(header):
            raise DataError(f"{path}, line {number}: {len(cells)} cells under {len(header)} columns")
        line = dict(zip(header, cells, strict=True))
        numbers = {c: _number(path, number, c, v) for c, v in line.items() if c not in _FIXED and v != ""}
        measured = {c: numbers.pop(c) for c in _MEASURED if c in numbers}
        names = [line[c] for c in _FIXED]
        rows.append(SceneRow(names[0], names[1], names[2], names[3], numbers, **measured))
    return rows


def summarise(values: Sequence[float]) -> Value | None:
    """Mean and std_scenes of the values that exist (NaN: does not); None where none does."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return None
    mean = math.fsum(known) / len(known)
    if len(known) < 2:
        return Value(mean, None, 1)
    if not math.isfinite(mean):
        return Value(mean, math.nan, len(known))
    return Value(mean, math.sqrt(math.fsum((v - mean) ** 2 for v in known) / (len(known) - 1)), len(known))


def without_times(metrics: Metrics) -> Metrics:
    """The same record without what may differ between two equal runs: wall times and memory."""
    sets = {
        name: replace(s, rows={k: replace(r, seconds_per_mpx=None) for k, r in s.rows.items()})
        for name, s in metrics.sets.items()
    }
    return replace(metrics, sets=sets, training=replace(metrics.training, seconds=None), peak_memory_mb=None)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def running(run: str, model: str, data: str, seed: int | None) -> Status:
    """The status of a run that starts now in this process."""
    return Status(
        "running", run=run, model=model, data=data, seed=seed, started=now(), pid=os.getpid(), host=platform.node()
    )


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise DataError(f"{path}, line {line}, column {column}: {cell!r} is no number") from error


def _checked(record: Any, path: Path) -> Any:
    if record.schema != SCHEMA:
        raise DataError(f"{path}: schema {record.schema}; this version of fusionbench reads schema {SCHEMA}")
    return record


def _one_of(where: str, value: str, known: Mapping[str, Any] | Sequence[str]) -> None:
    if value not in known:
        raise DataError(f"{where}: {value!r} is none of {', '.join(known)}")
