"""Tables as pages show them: text and marks of every cell. Torch-free."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusionbench.evaluation import marks
from fusionbench.evaluation.schema import IndexInfo, Metrics, Row, TestSet


@dataclass(frozen=True)
class Cell:
    """A number as printed: ``spread`` over scenes, ``seeds`` over seeds; ``mark`` best, second or empty; ``below`` the
    floor of interpolation and classical rows."""

    text: str
    spread: str = ""
    seeds: str = ""
    mark: str = ""
    below: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table: ``reason`` stands instead of cells where there are none."""

    title: str
    cells: list[Cell] = field(default_factory=list)
    own: bool = False
    kind: str = "network"
    dagger: bool = False
    reason: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A heading: name with arrow and unit, and what the index is."""

    head: str
    variant: str


@dataclass(frozen=True)
class Table:
    """A table with its caption and the sentences that belong under it."""

    title: str
    caption: str
    columns: list[Column]
    lines: list[Line]
    remarks: list[str] = field(default_factory=list)


def columns(indices: list[str], infos: Mapping[str, IndexInfo]) -> list[Column]:
    """Headings of a table's indices."""
    return [Column(marks.heading(name, infos[name]), infos[name].variant) for name in indices]


def count_scenes(n: int) -> str:
    """How many scenes, and what the number after ± is."""
    return "1 scene" if n == 1 else f"{n} scenes, mean ± standard deviation over scenes"


def set_table(metrics: Metrics, key: str) -> Table:
    """One test set of a run: methods by indices."""
    test_set = metrics.sets[key]
    flagged = {(flag.index, flag.method) for flag in marks.flags(metrics) if flag.set == test_set.title}
    best = {
        index: marks.podium(
            marks.contenders(test_set.rows.values(), metrics.indices[index], index), metrics.indices[index].direction
        )
        for index in test_set.indices
        if marks.may_rank(test_set)
    }
    lines = [_line(metrics, test_set, row, best, flagged) for row in test_set.rows.values()]
    remarks = [] if marks.may_rank(test_set) else ["One scene: no interval, and no claim which method is better."]
    return Table(
        test_set.title,
        count_scenes(len(test_set.scenes)),
        columns(test_set.indices, metrics.indices),
        lines,
        remarks + test_set.notes,
    )


def _line(
    metrics: Metrics,
    test_set: TestSet,
    row: Row,
    best: Mapping[str, tuple[set[str], set[str]]],
    flagged: set[tuple[str, str]],
) -> Line:
    own = row.name == metrics.method
    cells = []
    for index in test_set.indices:
        info, value = metrics.indices[index], row.values.get(index)
        if value is None:
            cells.append(Cell("–"))
            continue
        first, second = best.get(index, (set(), set()))
        mark = "best" if row.name in first else "second" if row.name in second else ""
        below = (index, row.title) in flagged
        text, spread = marks.number(value.mean, info.digits), marks.spread(value, info.digits)
        cells.append(Cell(text, spread, mark=mark, below=below))
    return Line(
        row.title,
        cells,
        own,
        row.kind,
        own and metrics.training.converged is False,
        row.skipped,
        {"seconds": "–" if row.seconds_per_mpx is None else f"{row.seconds_per_mpx:.3g}"},
    )


def data_uri(path: Path, quality: int | None = None) -> str:
    """A picture as a data URI: as it is, or as JPEG of a quality (colours unreduced) to keep a page small."""
    content, kind = path.read_bytes(), "png"
    if quality is not None:
        import io

        from PIL import Image

        buffer = io.BytesIO()
        Image.open(path).convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0)
        content, kind = buffer.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def render(template: str, **context: Any) -> str:
    """A page from a template of this package; text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fusionbench.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)
