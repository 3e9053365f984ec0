"""Folds of one data set put together: every scene tested once, by the model that did not train on it. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from fusionbench.evaluation.aggregate import Board, Entry
from fusionbench.evaluation.schema import summarise

_FOLD = re.compile(r"split\.fold (\d+)")


def with_folds_together(boards: Sequence[Board]) -> list[Board]:
    """The boards, and before each group of folds the board of all of them.

    Folds belong together when nothing but ``split.fold`` tells them apart, their scenes are disjoint and each tests
    several scenes: halves of one scene stay apart, since they are still one scene.
    """
    groups: dict[tuple[str, bool, str, str, str], list[Board]] = {}
    for board in boards:
        if _FOLD.search(board.options) and board.may_rank:
            key = (board.data, board.simulated, board.test_set, board.recipe, _FOLD.sub("split.fold", board.options))
            groups.setdefault(key, []).append(board)
    found: list[Board] = []
    for board in boards:
        group = next((g for g in groups.values() if board is g[0]), [])
        scenes = [scene for member in group for scene in member.scenes]
        if len(group) > 1 and len(scenes) == len(set(scenes)):
            found.append(_together(group, sorted(scenes)))
        found.append(board)
    return found


def _together(group: Sequence[Board], scenes: list[str]) -> Board:
    first = group[0]
    numbers = ", ".join(match[1] for board in group if (match := _FOLD.search(board.options)))
    common = [e.row.name for e in first.entries if all(_entry(board, e.row.name) is not None for board in group)]
    entries = [_merged([e for board in group if (e := _entry(board, name)) is not None]) for name in common]
    notes = [note for board in group for note in board.remarks]
    board = replace(
        first,
        options=_FOLD.sub(f"split.fold {numbers} together", first.options),
        scenes=scenes,
        entries=entries,
        remarks=list(dict.fromkeys(notes)),
    )
    ranks = board.mean_ranks()
    entries.sort(key=lambda e: (ranks.get(e.row.name, float("inf")), e.row.kind, e.row.title))
    return board


def _entry(board: Board, name: str) -> Entry | None:
    return next((entry for entry in board.entries if entry.row.name == name), None)


def _merged(parts: Sequence[Entry]) -> Entry:
    """One method over all folds; its spread over seeds is each fold's own and is not shown here."""
    first = parts[0]
    scenes = {
        index: {scene: value for part in parts for scene, value in sorted(part.scenes.get(index, {}).items())}
        for index in first.scenes
    }
    values = {  # counts that are only summed up have lines per scene and no index
        index: summarise([scenes[index][scene] for scene in sorted(scenes[index])])
        for index in first.row.values
        if index in scenes
    }
    seconds = [part.row.seconds_per_mpx for part in parts if part.row.seconds_per_mpx is not None]
    converged = [part.converged for part in parts]
    row = replace(
        first.row,
        n=sum(part.row.n for part in parts),
        values={index: value for index, value in values.items() if value is not None},
        seconds_per_mpx=sum(seconds) / len(seconds) if seconds else None,
    )
    return replace(first, row=row, scenes=scenes, std_seeds={}, converged=None if None in converged else all(converged))
