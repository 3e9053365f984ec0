"""Splits of a city's places: by districts that share no ground, or as published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.model_selection import train_test_split

from fusionbench.data.readers.user_density import Places
from fusionbench.errors import ConfigError, DataError

SPLITS = ("districts", "published")


@dataclass(frozen=True)
class Split:
    """How the places of a city are split.

    Args:
        by: ``districts``: columns of equal numbers of places, each cut into rows of equal numbers, are scenes, of which
            some test; ``published``: the published files, a random share of the training places for validation.
        districts: columns and rows.
        folds: into how many parts the districts fall, in diagonals; fold: which of them tests.
        val: districts: how many of the others validate; published: share of the training places.
        guard: m; a training or validation place so near to a test place, or a training place to a validation place, is
            left out.
        seed: of the published random share.

    Raises:
        ConfigError: a setting that makes no sense.
    """

    by: str = "districts"
    districts: tuple[int, int] = (4, 4)
    folds: int = 4
    fold: int = 0
    val: float = 2
    guard: float = 500.0
    seed: int = 2018

    def __post_init__(self) -> None:
        columns, rows = self.districts
        if self.by not in SPLITS:
            raise ConfigError(f"data.split.by={self.by}: one of {', '.join(SPLITS)}")
        if min(columns, rows) < 1 or not 2 <= self.folds <= columns * rows or not 0 <= self.fold < self.folds:
            raise ConfigError(
                f"data.split: districts={list(self.districts)}, folds={self.folds}, fold={self.fold}: two folds or "
                "more, of one district or more; the fold is one of them, from 0"
            )
        if self.guard < 0 or self.val <= 0 or (self.by == "published" and self.val >= 1):
            raise ConfigError(
                f"data.split: guard={self.guard}, val={self.val}: a guard of 0 m or more; val is a number of districts "
                "above 0, with by=published a share between 0 and 1"
            )


@dataclass(frozen=True)
class TownSplit:
    """Which towns of a data set test and validate; all others train.

    Args:
        test, val: their names, or how many: the last by name test, those before them validate.

    Raises:
        ConfigError: numbers below 1.
    """

    test: int | list[str] = 1
    val: int | list[str] = 1

    def __post_init__(self) -> None:
        for key, value in (("test", self.test), ("val", self.val)):
            if isinstance(value, int) and value < 1:
                raise ConfigError(f"data.split.{key}={value}: names of towns, or 1 or more")

    def subsets(self, towns: Sequence[str]) -> dict[str, list[str]]:
        """Names of towns by subset.

        Raises:
            DataError: a name that is none, a town in two subsets, or none that trains.
        """
        left, found = sorted(towns), {}
        for key, value in (("test", self.test), ("val", self.val)):
            chosen = left[-value:] if isinstance(value, int) else list(value)
            absent = [name for name in chosen if name not in left]
            if absent:
                raise DataError(f"data.split.{key}: {absent[0]} is none of {', '.join(left)}")
            found[key] = chosen
            left = [name for name in left if name not in chosen]
        if not left:
            raise DataError(f"data.split: {len(towns)} towns, none is left to train on")
        return {"train": left, **found}


@dataclass(frozen=True)
class DistrictSplit:
    """Places by subset and scene.

    Args:
        by: what was done.
        subsets: ``train``, ``val``, ``test`` -> scene -> its places.
        rows: subset -> scene -> numbers of its places, those of the training file first.
        notes: what a reader of scores must know.
    """

    by: str
    subsets: Mapping[str, Mapping[str, Places]]
    rows: Mapping[str, Mapping[str, list[int]]]
    notes: list[str]


def split_places(files: Mapping[str, Places], settings: Split) -> DistrictSplit:
    """Split what the published training and test files hold.

    Raises:
        DataError: a subset is left without places.
    """
    whole = Places(*(np.concatenate([getattr(files[k], name) for k in ("train", "test")]) for name in FIELDS))
    trained = len(files["train"].classes)
    if settings.by == "published":
        rows = _published(files["train"].classes, np.arange(trained, len(whole.classes)), settings)
        near = cKDTree(whole.metres[:trained]).query(whole.metres[trained:])[0]
        same = cKDTree(whole.series[:trained]).query(whole.series[trained:])[0] < 1e-5
        notes = [
            f"published split: half the test places lie within {np.median(near):.0f} m of a training place of the same "
            f"city, {int(same.sum())} of {len(same)} have the very series of one; scores are those of neighbours"
        ]
    else:
        rows, left_out = _by_districts(whole, settings)
        notes = [f"{left_out} places within {settings.guard:g} m of a test or validation district left out"]
    empty = [subset for subset, scenes in rows.items() if not sum(map(len, scenes.values()))]
    if empty:
        raise DataError(f"data.split: no {empty[0]} places are left; fewer districts, or a smaller guard")
    subsets = {
        subset: {scene: Places(*(getattr(whole, name)[i] for name in FIELDS)) for scene, i in scenes.items() if len(i)}
        for subset, scenes in rows.items()
    }
    shown = {subset: {scene: i.tolist() for scene, i in scenes.items()} for subset, scenes in rows.items()}
    return DistrictSplit(settings.by, subsets, shown, notes)


FIELDS = ("series", "classes", "metres")
Rows = dict[str, dict[str, np.ndarray]]


def _published(classes: np.ndarray, test: np.ndarray, settings: Split) -> Rows:
    train, val = train_test_split(
        np.arange(len(classes)), test_size=settings.val, random_state=settings.seed, stratify=classes
    )
    return {"train": {"train": np.sort(train)}, "val": {"val": np.sort(val)}, "test": {"test": test}}


def _by_districts(places: Places, settings: Split) -> tuple[Rows, int]:
    columns, down = settings.districts
    column = _equal(places.metres[:, 0], columns)
    row = np.zeros_like(column)
    for i in range(columns):
        row[column == i] = _equal(places.metres[column == i, 1], down)
    fold = (column + row) % settings.folds
    tests = {(i, j) for i, j in zip(column[fold == settings.fold], row[fold == settings.fold], strict=True)}
    others = [(i, j) for i in range(columns) for j in range(down) if (i, j) not in tests]
    if settings.val >= len(others):
        raise ConfigError(f"data.split.val={settings.val:g}: {len(others)} districts do not test, and some must train")
    step = len(others) / int(settings.val)
    vals = {others[int((k + 0.5) * step)] for k in range(int(settings.val))}
    kept: Rows = {"train": {}, "val": {}, "test": {}}
    for i, j in sorted({*tests, *others}):
        subset = "test" if (i, j) in tests else "val" if (i, j) in vals else "train"
        kept[subset][f"district-{i + 1}-{j + 1}"] = np.flatnonzero((column == i) & (row == j))
    before = sum(len(rows) for scenes in kept.values() for rows in scenes.values())
    for subset, beside in (("val", ("test",)), ("train", ("test", "val"))):
        near = np.concatenate([rows for other in beside for rows in kept[other].values()])
        tree = cKDTree(places.metres[near])
        for scene, rows in kept[subset].items():
            kept[subset][scene] = rows[tree.query(places.metres[rows])[0] > settings.guard]
    return kept, before - sum(len(rows) for scenes in kept.values() for rows in scenes.values())


def _equal(values: np.ndarray, parts: int) -> np.ndarray:
    """Which of ``parts`` equal shares of the sorted values each belongs to."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return (ranks * parts // len(values)).astype(np.int64)
