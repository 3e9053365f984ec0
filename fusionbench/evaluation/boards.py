"""What every form of a leaderboard says of a board: headings, remarks, cells. Torch-free."""

from __future__ import annotations

from fusionbench.evaluation import marks, views
from fusionbench.evaluation.aggregate import Board, Entry


def heading(board: Board) -> str:
    """Data, test set and budget of a board."""
    name = f"{board.data}{' (simulated)' if board.simulated else ''}"
    return " · ".join(filter(None, [name, board.test_set, board.recipe]))


def caption(board: Board) -> str:
    """How many scenes, and which treatment."""
    n = len(board.scenes)
    return f"n = {n} scene{'s' if n != 1 else ''}" + (f"; {board.options}" if board.options else "")


def remarks(board: Board) -> list[str]:
    """The sentences that belong under a board."""
    lines = [] if board.may_rank else ["One scene: no interval, and no claim which method is better."]
    if any(entry.converged is False for entry in board.entries):
        lines.append(
            f"{marks.DAGGER} not converged: the watched validation value fell by 2 % or more in the last quarter of "
            "training; ranked only where all budgets are equal."
        )
    if any(board.below(entry, index) for entry in board.entries for index in board.indices):
        lines.append("▼ a network below interpolation or a classical row on this index.")
    return [*lines, *board.remarks]


def title(entry: Entry) -> str:
    """A row's name with its dagger."""
    return entry.row.title + (f" {marks.DAGGER}" if entry.converged is False else "")


def cells(board: Board, entry: Entry) -> list[views.Cell]:
    """A row's numbers: mean, spread over scenes and, apart from it, over seeds."""
    found = []
    for index, info in board.indices.items():
        value = entry.row.values.get(index)
        if value is None:
            found.append(views.Cell("–"))
            continue
        first, second = board.podium(index)
        spread, text = marks.spread(value, info.digits), marks.number(value.mean, info.digits)
        seeds = f"seeds ± {marks.number(entry.std_seeds[index], info.digits)}" if index in entry.std_seeds else ""
        mark = "best" if entry.row.name in first else "second" if entry.row.name in second else ""
        found.append(views.Cell(text, spread, seeds, mark, board.below(entry, index)))
    return found


def spreads(cell: views.Cell) -> list[str]:
    """What stands after a mean: over scenes, over seeds."""
    return [text for text in (cell.spread, cell.seeds) if text]


def facts(board: Board, entry: Entry) -> dict[str, str]:
    """What stands beside the numbers of a row."""
    rank = board.mean_ranks().get(entry.row.name)
    seconds = entry.row.seconds_per_mpx
    return {
        "mean rank": "–" if rank is None else f"{rank:.1f}",
        "seeds": str(len(entry.seeds)) if entry.row.kind == "network" and entry.seeds else "–",
        "parameters": marks.count(entry.parameters) if entry.parameters else "–",
        "s/Mpx": "–" if seconds is None else f"{seconds:.3g}",
    }
