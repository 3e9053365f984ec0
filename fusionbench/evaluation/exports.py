"""A leaderboard as CSV, Markdown and LaTeX. Torch-free."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from fusionbench.evaluation import marks
from fusionbench.evaluation.aggregate import Board
from fusionbench.evaluation.boards import caption, cells, facts, heading, remarks, spreads, title
from fusionbench.evaluation.results import Run
from fusionbench.evaluation.schema import now

_COLUMNS = (
    *("data", "simulated", "options", "set", "budget", "method", "title", "label", "kind", "index", "direction"),
    *("unit", "mean", "std_scenes", "n_scenes", "std_seeds", "n_seeds", "mean_rank", "below_floor", "converged"),
    *("samples", "parameters", "seconds_per_mpx", "run", "state", "reason"),
)
_TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "°": r"$^\circ$", "†": r"$^\dagger$"}
_TEX |= {
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "–": "--",
    "∞": r"$\infty$",
    "▼": r"$\triangledown$",
}


def as_csv(boards: Sequence[Board], others: Sequence[Run]) -> str:
    """One line per method and index, all digits; runs without a result are lines with their state and reason."""
    text = io.StringIO()
    out = csv.DictWriter(text, _COLUMNS, lineterminator="\n", restval="")
    out.writeheader()
    for board in boards:
        ranks = board.mean_ranks()
        for entry in board.entries:
            for index, value in entry.row.values.items():
                info = board.indices[index]
                line = {
                    "data": board.data,
                    "simulated": board.simulated,
                    "options": board.options,
                    "set": board.test_set,
                    "budget": board.recipe,
                    "method": entry.row.name,
                    "title": entry.row.title,
                    "label": entry.label,
                    "kind": entry.row.kind,
                    "index": index,
                    "direction": info.direction,
                    "unit": info.unit,
                    "mean": repr(value.mean),
                    "std_scenes": value.std_scenes,
                    "n_scenes": value.n,
                    "std_seeds": entry.std_seeds.get(index),
                    "n_seeds": len(entry.seeds) or None,
                    "mean_rank": ranks.get(entry.row.name),
                    "below_floor": board.below(entry, index),
                    "converged": entry.converged,
                    "samples": entry.samples,
                    "parameters": entry.parameters,
                    "seconds_per_mpx": entry.row.seconds_per_mpx,
                    "state": "finished",
                }
                out.writerow({key: "" if value is None else value for key, value in line.items()})
    for run in others:
        known = run.status
        out.writerow(
            {
                "data": (known.data if known is not None else None) or "",
                "method": (known.model if known is not None else None) or "",
                "run": run.name,
                "state": run.state,
                "reason": run.reason,
            }
        )
    return text.getvalue()


def as_markdown(boards: Sequence[Board], others: Sequence[Run]) -> str:
    """The tables in Markdown; best in bold."""
    lines = [
        "# Leaderboard",
        "",
        f"Written by `fusionbench leaderboard`, {now()}. Mean ± std over scenes, then over seeds.",
        "",
    ]
    for board in boards:
        heads = [
            "method",
            *(marks.heading(i, info) for i, info in board.indices.items()),
            *facts(board, board.entries[0]),
        ]
        lines += [
            f"## {heading(board)}",
            "",
            caption(board),
            "",
            _md(heads),
            "|" + " --- |" + " ---: |" * (len(heads) - 1),
        ]
        for entry in board.entries:
            row = [title(entry)]
            for cell in cells(board, entry):
                text = f"**{cell.text}**" if cell.mark == "best" else cell.text
                row.append(("▼" if cell.below else "") + text + "".join(f" {spread}" for spread in spreads(cell)))
            lines.append(_md([*row, *facts(board, entry).values()]))
        lines += ["", *(f"- {text}" for text in remarks(board)), ""]
    if others:
        lines += ["## Runs without a result", "", _md(["run", "state", "reason"]), "| --- | --- | --- |"]
        lines += [_md([run.name, run.state, " ".join(run.reason.split())]) for run in others]
    return "\n".join(lines).rstrip() + "\n"


def _md(row: list[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in row) + " |"


def as_latex(boards: Sequence[Board], others: Sequence[Run]) -> str:
    r"""The tables in LaTeX for ``\usepackage{booktabs}``; best in bold, second underlined."""
    lines = [r"% fusionbench leaderboard; needs \usepackage{booktabs}"]
    for board in boards:
        heads = ["Method", *(marks.heading(index, info) for index, info in board.indices.items())]
        notes = " ".join(remarks(board))
        lines += [
            "",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{tex(f'{heading(board)}; {caption(board)}. {notes}')}}}",
        ]
        lines += [rf"\begin{{tabular}}{{l{'r' * len(board.indices)}}}", r"\toprule"]
        lines += [" & ".join(map(tex, heads)) + r" \\", r"\midrule"]
        for entry in board.entries:
            row = [tex(title(entry))]
            for cell in cells(board, entry):
                text = tex(cell.text)
                text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.mark, text)
                spread = "".join(tex(f" {spread}") for spread in spreads(cell))
                row.append(("$\\triangledown$" if cell.below else "") + text + spread)
            lines.append(" & ".join(row) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    lines += [f"% {run.name}: {run.state}: {' '.join(run.reason.split())}" for run in others]
    return "\n".join(lines) + "\n"


def tex(text: str) -> str:
    """Text with what LaTeX would read as commands escaped."""
    return "".join(_TEX.get(letter, letter) for letter in text.replace("\\", "/").replace("^", " "))
