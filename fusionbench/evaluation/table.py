"""The final table of a run, for the terminal. Torch-free."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fusionbench.evaluation import marks
from fusionbench.evaluation.schema import CHANGED, Finding, Metrics, Row, TestSet


def final_table(metrics: Metrics) -> RenderableType:
    """Methods by indices for every test set, with the spread over scenes, the best marked, and what must be said."""
    parts: list[RenderableType] = []
    for key in metrics.sets:
        if CHANGED in key:  # the findings sum these up
            continue
        parts += [_set_table(metrics, key), Text()]
    for finding in metrics.findings:
        parts += [_finding(finding), Text()]
    return Group(*parts, *(Text(line, style="dim") for line in remarks(metrics)))


def remarks(metrics: Metrics) -> list[str]:
    """The sentences that belong under a table of this run."""
    lines = []
    if metrics.data.simulated:
        lines.append("Simulated data: not to be set beside results on real images.")
    if "->" in metrics.label:
        lines.append(f"{metrics.label}: trained on {metrics.training.trained_on}, tested on {metrics.data.name}.")
    if metrics.training.converged is False:
        lines.append(
            f"{marks.DAGGER} not converged: {metrics.training.watched or 'the validation value'} still fell "
            f"{_percent(metrics.training.improvement)} in the last quarter of {marks.count(metrics.training.steps)} "
            "steps."
        )
    for test_set in metrics.sets.values():
        n = len(test_set.scenes)
        if n == 1:
            lines.append(f"{test_set.title}: one scene, so no interval and no claim which method is better.")
        lines += [f"{test_set.title}: {note}" for note in test_set.notes]
        lines += [f"{r.title}: left out of {test_set.title} ({r.skipped})" for r in test_set.rows.values() if r.skipped]
    lines += [f"{finding.title}: {note}" for finding in metrics.findings for note in finding.notes]
    if metrics.flags:
        lines.append("▼ " + "; ".join(_below(metrics)) + ".")
    return lines


def _below(metrics: Metrics) -> list[str]:
    """The flags in few words: per network and test set, which rows it is below on which indices."""
    found: dict[tuple[str, str], dict[tuple[str, ...], list[str]]] = {}
    for flag in marks.flags(metrics):
        found.setdefault((flag.method, flag.set), {}).setdefault(flag.below, []).append(flag.index)
    return [
        f"{method}, {place[:1].lower()}{place[1:]}: below "
        + ", ".join(f"{' and '.join(rows)} on {', '.join(indices)}" for rows, indices in groups.items())
        for (method, place), groups in found.items()
    ]


def _finding(finding: Finding) -> Table:
    table = Table(title=finding.title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for i, column in enumerate(finding.columns):
        table.add_column(column, justify="right" if i else "left")
    for row in finding.rows:
        table.add_row(*row)
    return table


def _percent(share: float | None) -> str:
    return "2 % or more" if share is None else f"{100 * share:.1f} %"


def _set_table(metrics: Metrics, key: str) -> Table:
    test_set = metrics.sets[key]
    n = len(test_set.scenes)
    scenes = "1 scene" if n == 1 else f"{n} scenes, mean ± std_scenes"
    table = Table(
        title=f"{test_set.title} · {metrics.data.name or metrics.data.id} · {metrics.label} · {scenes}",
        box=SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        padding=(0, 1),
        pad_edge=False,
    )
    table.add_column("method", no_wrap=True)
    for index in test_set.indices:
        info = metrics.indices[index]
        head = f"{index} {marks.ARROWS[info.direction]}" + (f"\n{info.unit}" if info.unit else "")
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("s/Mpx", justify="right", no_wrap=True)
    flagged = {(f.index, f.method) for f in marks.flags(metrics) if f.set == test_set.title}
    for row in test_set.rows.values():
        table.add_row(*_cells(metrics, test_set, row, flagged))
    return table


def _cells(metrics: Metrics, test_set: TestSet, row: Row, flagged: set[tuple[str, str]]) -> list[Text]:
    own = row.name == metrics.method
    dagger = f" {marks.DAGGER}" if own and metrics.training.converged is False else ""
    cells = [Text(row.title + dagger, style="bold" if own else "")]
    if row.skipped is not None:
        return [*cells, Text("left out", style="dim")]
    for index in test_set.indices:
        info, value = metrics.indices[index], row.values.get(index)
        if value is None:
            cells.append(Text("–", style="dim"))
            continue
        best, _ = marks.podium(marks.contenders(test_set.rows.values(), info, index), info.direction)
        chosen = marks.may_rank(test_set) and row.name in best
        cell = Text(marks.number(value.mean, info.digits), style="bold green" if chosen else "")
        if (index, row.title) in flagged:
            cell = Text("▼", style="red").append_text(cell)
        if value.std_scenes is not None:
            cell.append(f"\n{marks.spread(value, info.digits)}", style="dim not bold")
        cells.append(cell)
    return [*cells, Text("–" if row.seconds_per_mpx is None else f"{row.seconds_per_mpx:.3g}", style="dim")]
