"""The leaderboard of a folder of runs: tables for the terminal, and a page, CSV, Markdown and LaTeX. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusionbench.evaluation import marks, views
from fusionbench.evaluation.aggregate import RESAMPLES, Board, Difference, boards, paired
from fusionbench.evaluation.boards import caption, cells, facts, heading, remarks, spreads, title
from fusionbench.evaluation.exports import as_csv, as_latex, as_markdown
from fusionbench.evaluation.folds import with_folds_together
from fusionbench.evaluation.records import write_text
from fusionbench.evaluation.results import Results
from fusionbench.evaluation.schema import now

NAME = "leaderboard"


@dataclass(frozen=True)
class Leaderboard:
    """What runs below a folder achieved: ``boards`` to compare within, never across."""

    results: Results
    boards: list[Board]

    def write(self, folder: Path) -> list[Path]:
        """Write ``leaderboard.html``, ``.csv``, ``.md`` and ``.tex``; returns the files."""
        forms = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
        texts = {ending: form(self.boards, self.results.others) for ending, form in forms.items()}
        texts["html"] = page(self)
        files = []
        for ending, text in texts.items():
            files.append(folder / f"{NAME}.{ending}")
            write_text(files[-1], text)
        return files


def leaderboard(folder: Path) -> Leaderboard:
    """Read all runs below a folder.

    Raises:
        DataError: no such folder, or no run below it.
    """
    results = Results.read(folder)
    return Leaderboard(results, with_folds_together(boards(results)))


def as_tables(found: Leaderboard) -> list[Any]:
    """Tables of rich for the terminal, and the runs that gave no result."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for board in found.boards:
        table = Table(
            title=f"{heading(board)} · {caption(board)}", box=SIMPLE_HEAD, title_justify="left", pad_edge=False
        )
        table.add_column("method", no_wrap=True)
        for index, info in board.indices.items():
            table.add_column(marks.heading(index, info), justify="right")
        beside = [facts(board, entry) for entry in board.entries]
        for name in beside[0]:
            table.add_column(name, justify="right", style="dim")
        for entry, more in zip(board.entries, beside, strict=True):
            line = [Text(title(entry))]
            for cell in cells(board, entry):
                text = Text("▼" if cell.below else "", style="red")
                text.append(cell.text, style="bold green" if cell.mark == "best" else "")
                line.append(text.append("".join(f"\n{spread}" for spread in spreads(cell)), style="dim"))
            table.add_row(*line, *more.values())
        parts += [table, *(Text(text, style="dim") for text in remarks(board)), Text()]
    if found.results.others:
        table = Table(title="Runs without a result", box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for name in ("run", "state", "reason"):
            table.add_column(name, no_wrap=name != "reason")
        for run in found.results.others:
            table.add_row(run.name, run.state, run.reason.splitlines()[0] if run.reason else "")
        parts.append(table)
    return parts


def page(found: Leaderboard) -> str:
    """One self-contained page: tables, differences between methods, runs without a result."""
    sections = []
    for simulated, name in ((False, "Real images"), (True, "Simulated images")):
        chosen = [_section(board) for board in found.boards if board.simulated is simulated]
        if chosen:
            sections.append({"title": name, "simulated": simulated, "boards": chosen})
    return views.render(
        f"{NAME}.html",
        sections=sections,
        others=found.results.others,
        runs=len(found.results.runs),
        finished=len(found.results.finished),
        resamples=RESAMPLES,
        written=now(),
    )


def _section(board: Board) -> dict[str, Any]:
    lines = []
    for entry in board.entries:
        dagger = entry.converged is False
        lines.append(
            views.Line(entry.row.title, cells(board, entry), False, entry.row.kind, dagger, extra=facts(board, entry))
        )
    table = views.Table(
        " · ".join(filter(None, [board.data, board.test_set, board.recipe])),
        caption(board),
        views.columns(list(board.indices), board.indices),
        lines,
        remarks(board),
    )
    return {"table": table, "matrices": [_matrix(board, index) for index in board.indices] if board.may_rank else []}


def _matrix(board: Board, index: str) -> dict[str, Any]:
    """Row minus column of one index for all pairs; ``side`` tells what its interval says of the row."""
    info = board.indices[index]
    found = {(d.first, d.second): d for d in paired(board, index)}
    names = [e.row.name for e in board.entries if any(e.row.name in pair for pair in found)]
    titles = {e.row.name: e.row.title for e in board.entries}
    rows = [
        {"title": titles[a], "cells": [_difference(found, a, b, info.direction, info.digits) for b in names]}
        for a in names
    ]
    return {"head": marks.heading(index, info), "columns": [titles[name] for name in names], "rows": rows}


def _difference(
    found: dict[tuple[str, str], Difference], first: str, second: str, direction: str, digits: int
) -> dict[str, Any]:
    one = found.get((first, second))
    if one is None and (second, first) in found:
        other = found[second, first]
        low, high = (None if end is None else -end for end in (other.high, other.low))
        one = Difference(first, second, -other.mean, low, high, other.n)
    if one is None:
        return {"text": "", "interval": "", "side": ""}
    interval = "" if one.low is None else f"{one.low:+.{digits}f} … {one.high:+.{digits}f}, n = {one.n}"
    side = ""
    if one.decided:
        side = "better" if (one.mean > 0) == (direction == "max") else "worse"
    return {"text": f"{one.mean:+.{digits}f}", "interval": interval, "side": side}
