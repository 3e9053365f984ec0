"""Folds put together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fusionbench.evaluation.aggregate import Board, boards
from fusionbench.evaluation.exports import as_csv
from fusionbench.evaluation.folds import with_folds_together
from fusionbench.evaluation.results import Results
from tests.evaluation.runs import write_run


def fold(tmp_path, number: int, scores: list[float]) -> Board:
    """The board of one fold, its scenes named after it."""
    write_run(tmp_path / str(number), "run", scores)
    (board,) = boards(Results.read(tmp_path / str(number)))
    named = {scene: f"tile{number}-{scene}" for scene in board.scenes}
    entries = [
        replace(e, scenes={i: {named[s]: v for s, v in lines.items()} for i, lines in e.scenes.items()})
        for e in board.entries
    ]
    return replace(board, options=f"align none, split.fold {number}", scenes=list(named.values()), entries=entries)


def test_folds_are_one_table_over_all_scenes(tmp_path):
    parts = [fold(tmp_path, 0, [1.0, 2.0]), fold(tmp_path, 1, [3.0, 5.0])]
    together, *rest = with_folds_together(parts)
    assert rest == parts
    assert "split.fold 0, 1 together" in together.options
    assert len(together.scenes) == 4
    rows = {entry.row.name: entry.row for entry in together.entries}
    assert rows["net"].values["ERGAS"].mean == pytest.approx(2.75)
    assert rows["net"].values["ERGAS"].n == rows["net"].n == 4
    assert rows["exp"].values["ERGAS"].mean == pytest.approx(2.5)


def test_halves_of_one_scene_and_other_treatments_stay_apart(tmp_path):
    halves = [fold(tmp_path, 0, [1.0]), fold(tmp_path, 1, [3.0])]
    assert with_folds_together(halves) == halves
    first, second = fold(tmp_path / "x", 0, [1.0, 2.0]), fold(tmp_path / "x", 1, [3.0, 5.0])
    other = replace(second, options=second.options.replace("align none", "align global"))
    assert with_folds_together([first, other]) == [first, other]


def test_counts_that_are_only_summed_up_are_no_index(tmp_path):
    parts = []
    for number, scores in enumerate(([1.0, 2.0], [3.0, 5.0])):
        board = fold(tmp_path, number, scores)
        counted = [replace(e, scenes={**e.scenes, "K_0_1": dict.fromkeys(board.scenes, 4.0)}) for e in board.entries]
        parts.append(replace(board, entries=counted))
    together = with_folds_together(parts)[0]
    assert all("K_0_1" not in entry.row.values for entry in together.entries)
    assert "K_0_1" not in as_csv([together], [])
