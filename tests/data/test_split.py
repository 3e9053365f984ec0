"""Splits: by scene, by block with a guard, by run, from a file; no pixel on both sides."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from fusionbench.data.split import Split, SplitSettings, read_split, split_scenes, write_split
from fusionbench.errors import ConfigError, DataError

TILES = {f"t{i}": (250, 250) for i in range(8)}


def test_eight_tiles_in_four_folds_are_six_and_two() -> None:
    tested: list[str] = []
    for fold in range(4):
        split = split_scenes(TILES, SplitSettings(fold=fold), 4)
        assert split.rule == "scene"
        assert [len(split.of(s)) for s in ("train", "val", "test")] == [5, 1, 2]
        tested += [piece.scene for piece in split.of("test")]
    assert sorted(tested) == sorted(TILES)


def test_named_scenes() -> None:
    split = split_scenes(TILES, SplitSettings(test=["t3"], val=["t0", "t1"]), 4)
    assert [p.scene for p in split.of("test")] == ["t3"]
    assert [p.scene for p in split.of("val")] == ["t0", "t1"]
    assert len(split.of("train")) == 5


@pytest.mark.parametrize("axis", ["columns", "rows"])
@pytest.mark.parametrize("fold", [0, 1])
def test_halves_keep_the_guard(axis: str, fold: int) -> None:
    split = split_scenes({"a": (320, 320)}, SplitSettings(fold=fold, axis=axis, guard=64), 4)
    (test,), (train,), (val,) = (split.of(s) for s in ("test", "train", "val"))
    low, high = ("left", "right") if axis == "columns" else ("top", "bottom")
    near, far = (test, train) if fold == 0 else (train, test)
    assert getattr(far.window, low) - getattr(near.window, high) >= 64
    assert (getattr(near.window, low), getattr(far.window, high)) == (0, 320)
    across = ("top", "bottom") if axis == "columns" else ("left", "right")
    assert getattr(val.window, across[0]) - getattr(train.window, across[1]) >= 24


@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
@pytest.mark.parametrize("settings", [{"blocks": b, "fold": f} for b in (2, 3, 5) for f in (0, b - 1)])
def test_windows_lie_on_the_coarse_grid_and_never_meet(ratio: int, settings: dict[str, Any]) -> None:
    split = split_scenes({"a": (331, 997), "b": (400, 900)}, SplitSettings(by="block", **settings), ratio)
    assert {p.subset for p in split.pieces} == {"train", "val", "test"}
    for piece in split.pieces:
        assert piece.window.top % ratio == 0
        assert piece.window.left % ratio == 0
        rows, columns = {"a": (331, 997), "b": (400, 900)}[piece.scene]
        assert piece.window.bottom <= rows
        assert piece.window.right <= columns
    for a, b in combinations(split.pieces, 2):
        if a.scene == b.scene:
            meets = (
                a.window.top < b.window.bottom
                and b.window.top < a.window.bottom
                and a.window.left < b.window.right
                and b.window.left < a.window.right
            )
            assert not meets


def test_auto_rule_by_what_there_is() -> None:
    assert split_scenes({"a": (320, 320)}, SplitSettings(), 4).rule == "block"
    assert split_scenes(TILES, SplitSettings(), 4).rule == "scene"
    assert split_scenes(TILES, SplitSettings(), 4, by_number=True).rule == "run"
    assert split_scenes({"a": (9, 9), "b": (9, 9)}, SplitSettings(test=["b"]), 4).rule == "scene"


def test_runs_are_contiguous() -> None:
    names = [f"{i:04d}" for i in range(1, 161)]
    split = split_scenes(dict.fromkeys(names, (256, 256)), SplitSettings(), 4, by_number=True)
    runs = [[p.scene for p in split.of(s)] for s in ("train", "val", "test")]
    assert [len(run) for run in runs] == [128, 16, 16]
    assert [*runs[0], *runs[1], *runs[2]] == names


def test_every_scene_for_testing() -> None:
    assert {p.subset for p in split_scenes(TILES, SplitSettings(by="test"), 4).pieces} == {"test"}


def test_file_gives_the_same_pieces(tmp_path: Path) -> None:
    settings = SplitSettings(fold=1)
    split = split_scenes({"a": (320, 320)}, settings, 4)
    write_split(tmp_path / "split.json", split, settings)
    again = split_scenes({"a": (320, 320)}, SplitSettings(by="file", file=str(tmp_path / "split.json")), 4)
    assert again.pieces == split.pieces


def _file(folder: Path, *pieces: tuple[str, str, list[int]]) -> str:
    content = {"pieces": [{"scene": s, "subset": subset, "window": window} for s, subset, window in pieces]}
    (folder / "split.json").write_text(json.dumps(content), encoding="utf-8")
    return str(folder / "split.json")


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([("a", "train", [0, 100, 0, 64]), ("a", "test", [90, 100, 60, 100])], "of a meet"),
        ([("b", "train", [0, 100, 0, 64])], "train scene b: there are a"),
        ([("a", "holdout", [0, 100, 0, 64])], "holdout scene a"),
        ([("a", "train", [0, 101, 0, 64])], "lies outside a"),
        ([("a", "train", [0, 100])], "not a readable split"),
    ],
)
def test_files_that_are_refused(pieces: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        read_split(_file(tmp_path, *pieces), {"a": (100, 100)})


def test_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs data\.split\.file"):
        split_scenes({"a": (9, 9)}, SplitSettings(by="file"), 4)
    with pytest.raises(ConfigError, match="not a readable split"):
        read_split(str(tmp_path / "nothing.json"), {"a": (9, 9)})


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"by": "luck"}, ConfigError, r"data\.split\.by=luck: one of auto, published"),
        ({"axis": "diagonal"}, ConfigError, r"data\.split\.axis=diagonal"),
        ({"guard": -1}, ConfigError, r"data\.split\.guard=-1: 0 or more"),
        ({"blocks": 1}, ConfigError, r"data\.split\.blocks=1: 2 or more"),
        ({"fold": 4}, ConfigError, r"data\.split\.fold=4: 0 to 3"),
        ({"test": ["t9"]}, ConfigError, r"data\.split\.test: no scene t9; there are t0, t1"),
        ({"val": 0.5}, ConfigError, r"data\.split\.val=0\.5: scene names or a number"),
        ({"folds": 9}, DataError, "8 scenes cannot make 9 folds"),
        ({"by": "block", "fold": 2}, ConfigError, r"data\.split\.fold=2: 0 to 1 \(data\.split\.blocks\)"),
        ({"by": "block", "guard": 400}, DataError, "too small for 2 strips with a guard of 400 px"),
        ({"by": "block", "val": 3}, ConfigError, "a share of the training part below 1"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        split_scenes(TILES, SplitSettings(**settings), 4)


def test_too_few_scenes_for_runs() -> None:
    with pytest.raises(DataError, match="2 scenes cannot be cut into runs"):
        split_scenes({"1": (9, 9), "2": (9, 9)}, SplitSettings(by="run"), 4)


def test_split_is_plain() -> None:
    split = split_scenes({"a": (320, 320)}, SplitSettings(), 4)
    assert isinstance(split, Split)
    assert json.loads(json.dumps(split.as_dict())) == split.as_dict()
