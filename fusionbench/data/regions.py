"""Which labelled pixels train, validate and test: published masks, disjoint regions, runs, or at random (leaky)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from fusionbench.errors import ConfigError, DataError

RULES = ("auto", "published", "disjoint", "runs", "leaky")
TRIALS = 48  # assignments of regions that are tried for a disjoint split
NEIGHBOURS = np.ones((3, 3), bool)
BEST_ON_TEST = "best_on_test"


@dataclass(frozen=True)
class PixelSplitSettings:
    """How labelled pixels are shared out.

    Args:
        by: ``published``: the data set's masks; ``disjoint``: whole label regions, windows of training and test pixels
            never overlap; ``runs``: contiguous runs of each class's pixels in file order (sets without positions);
            ``leaky``: pixels at random, whose neighbours then stand on the other side; ``auto``: published where there
            are masks, else disjoint.
        train: share of the labelled pixels of a class that trains; or a number of pixels of each class.
        val: share of the training pixels of a class, the last of them in raster order; or ``best_on_test``: the test
            pixels themselves choose the checkpoint, as many papers did.
        fold: runs: the test run is moved on by so many of its lengths.

    Raises:
        ConfigError: a value that is none of these.
    """

    by: str = "auto"
    train: float = 0.3
    val: float | str = 0.1
    fold: int = 0

    def __post_init__(self) -> None:
        if self.by not in RULES:
            raise ConfigError(f"data.split.by={self.by}: one of {', '.join(RULES)}")
        if self.train <= 0 or (self.train >= 1 and self.train != int(self.train)):
            raise ConfigError(f"data.split.train={self.train}: a share below 1, or a number of pixels per class")
        share = self.val != BEST_ON_TEST
        if share and (isinstance(self.val, str) or not 0 <= self.val < 1):
            raise ConfigError(f"data.split.val={self.val}: a share of the training pixels, or {BEST_ON_TEST}")
        if self.fold < 0:
            raise ConfigError(f"data.split.fold={self.fold}: 0 or above")


@dataclass(frozen=True)
class PixelSplit:
    """Class indices [H,W] of the pixels of each subset, -1 elsewhere.

    Args:
        by: the rule that made it.
        dropped: classes that have no region to train on or none to test on, and so are in neither.
        notes: what a reader of the scores must know.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    by: str
    dropped: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def split_pixels(
    labels: np.ndarray | None,
    masks: tuple[np.ndarray, np.ndarray] | None,
    window: int,
    settings: PixelSplitSettings,
    seed: int,
) -> PixelSplit:
    """Share out the labelled pixels of one scene.

    Args:
        labels: class indices [H,W], -1 for none; None: those of both masks.
        masks: published training and test pixels, in the same form.
        window: side of the windows around them.
        settings: see there.
        seed: of what is drawn.

    Raises:
        DataError: the rule asks for masks that do not exist, or leaves nothing to train or test on.
    """
    by, dropped = settings.by, list[int]()
    if by == "auto":
        by = "published" if masks is not None else "disjoint"
    if by == "published":
        if masks is None:
            raise DataError("data.split.by=published: these files hold one label map and no masks; disjoint, leaky")
        train, test = masks[0].copy(), masks[1].copy()
        train[test >= 0] = -1
    else:
        whole = _union(labels, masks)
        if by == "disjoint":
            train, test, dropped = disjoint(whole, window, settings.train, seed)
        elif by == "runs":
            train, test = runs(whole, settings.train, settings.fold)
        else:
            train, test = leaky(whole, settings.train, seed)
    if not (train >= 0).any() or not (test >= 0).any():
        raise DataError(f"data.split.by={by}: leaves {(train >= 0).sum()} training and {(test >= 0).sum()} test pixels")
    return _with_validation(train, test, by, dropped, settings)


def _union(labels: np.ndarray | None, masks: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    if masks is not None:
        return np.where(masks[0] >= 0, masks[0], masks[1])
    if labels is None:
        raise DataError("no labels")
    return labels


def _with_validation(
    train: np.ndarray, test: np.ndarray, by: str, dropped: list[int], settings: PixelSplitSettings
) -> PixelSplit:
    notes = []
    if by == "leaky":
        notes.append("leaky split: training pixels at random, so test pixels have neighbours in training")
    if settings.val == BEST_ON_TEST:
        notes.append(f"{BEST_ON_TEST}: the test pixels chose the checkpoint")
        return PixelSplit(train, test.copy(), test, by, dropped, notes)
    train, val = held_back(train, float(settings.val))
    return PixelSplit(train, val, test, by, dropped, notes)


def held_back(train: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Training labels without, and with nothing but, the last share of each class's pixels in raster order.

    A class keeps one training pixel at least.
    """
    kept, val = train.copy().ravel(), np.full(train.size, -1, train.dtype)
    for label in np.unique(train[train >= 0]):
        places = np.flatnonzero(kept == label)
        count = min(round(share * len(places)), len(places) - 1)
        last = places[len(places) - count :]
        val[last], kept[last] = label, -1
    return kept.reshape(train.shape), val.reshape(train.shape)


def runs(labels: np.ndarray, share: float, fold: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Training and test labels: of each class one contiguous run in file order tests, the rest trains.

    Args:
        share: of each class that trains.
        fold: the test run begins so many of its lengths before the end, going round.
    """
    train, test = labels.copy().ravel(), np.full(labels.size, -1, labels.dtype)
    for label in np.unique(labels[labels >= 0]):
        places = np.flatnonzero(labels.ravel() == label)
        count = max(1, round((1 - share) * len(places)))
        run = np.roll(places, fold * count)[-count:]
        test[run], train[run] = label, -1
    return train.reshape(labels.shape), test.reshape(labels.shape)


def leaky(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test labels drawn at random by class: a share of each, or a number of each (at most half)."""
    rng = np.random.default_rng([seed, 1])
    train, test = np.full(labels.size, -1, labels.dtype), labels.copy().ravel()
    for label in np.unique(labels[labels >= 0]):
        places = rng.permutation(np.flatnonzero(labels.ravel() == label))
        chosen = places[: wanted(share, len(places))]
        train[chosen], test[chosen] = label, -1
    return train.reshape(labels.shape), test.reshape(labels.shape)


def wanted(share: float, count: int) -> int:
    """How many of ``count`` pixels a share, or a number of them, is: one at least, and one less than all at most."""
    number = round(share * count) if share < 1 else min(int(share), max(count // 2, 1))
    return max(1, min(number, count - 1)) if count > 1 else count


def disjoint(labels: np.ndarray, window: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Training and test labels such that no window around one overlaps one around the other.

    Connected regions of one class go to one side as a whole; then training pixels nearer than ``window`` (Chebyshev) to
    a test pixel are left out. Of several seeded assignments the one is taken that keeps most classes on both sides, and
    among those most of the rarest class's and of all training pixels.

    Returns:
        Both maps, and the classes that one side lacks: they are taken out of both.
    """
    parts, sides = regions(labels)
    classes = [int(label) for label in np.unique(labels[labels >= 0])]
    rng = np.random.default_rng([seed, 2])
    best: tuple[tuple[float, float], np.ndarray, np.ndarray] | None = None
    for trial in range(TRIALS):
        chosen = _assigned(sides, share, rng, spatial=trial % 2 == 0, size=labels.shape)
        inside = np.concatenate([[False], chosen])[parts]
        test = np.where(inside, -1, labels)
        train = np.where(inside, labels, -1)
        train[near(test >= 0, window)] = -1
        both = [(int((train == label).sum()), int((test == label).sum())) for label in classes]
        whole = [int((labels == label).sum()) for label in classes]
        goals = [
            min(mine / max(share_of(share, n), 1), 1.0) + min(other / max(n - share_of(share, n), 1), 1.0)
            for (mine, other), n in zip(both, whole, strict=True)
        ]
        score = (float(sum(min(pair) > 0 for pair in both)), float(np.mean(goals)))
        if best is None or score > best[0]:
            best = (score, train, test)
    if best is None:
        raise DataError("no labelled pixels to split")
    _, train, test = best
    dropped = [label for label in classes if not (train == label).any() or not (test == label).any()]
    gone = np.isin(labels, dropped)
    return np.where(gone, -1, train), np.where(gone, -1, test), dropped


def share_of(share: float, count: int) -> float:
    """Pixels that a share, or a number of them, asks for."""
    return share * count if share < 1 else min(share, count)


def near(mask: np.ndarray, window: int) -> np.ndarray:
    """Pixels whose Chebyshev distance to the mask is below ``window``."""
    return ndimage.maximum_filter(mask.astype(np.uint8), 2 * window - 1, mode="constant") > 0


@dataclass(frozen=True)
class _Region:
    label: int
    pixels: int
    row: float
    column: float


def regions(labels: np.ndarray) -> tuple[np.ndarray, list[_Region]]:
    """Connected regions (8 neighbours) of one class: their number at each pixel [H,W] from 1, and what they are."""
    parts, found = np.zeros(labels.shape, np.int32), list[_Region]()
    for label in np.unique(labels[labels >= 0]):
        mine, count = ndimage.label(labels == label, NEIGHBOURS)
        if not count:
            continue
        numbers = np.arange(1, count + 1)
        pixels = ndimage.sum_labels(mine > 0, mine, numbers)
        middles = ndimage.center_of_mass(mine > 0, mine, numbers)
        parts[mine > 0] = mine[mine > 0] + len(found)
        found += [
            _Region(int(label), int(n), float(row), float(column))
            for n, (row, column) in zip(pixels, middles, strict=True)
        ]
    return parts, found


def _assigned(
    found: Sequence[_Region], share: float, rng: np.random.Generator, spatial: bool, size: Sequence[int]
) -> np.ndarray:
    """Which regions train: of each class, in a random order or along a random direction, until its share is reached."""
    chosen = np.zeros(len(found), bool)
    angle = rng.uniform(0, 2 * math.pi)
    along = [math.cos(angle) * r.row / size[0] + math.sin(angle) * r.column / size[1] for r in found]
    order = np.argsort(along) if spatial else rng.permutation(len(found))
    total: dict[int, int] = {}
    for region in found:
        total[region.label] = total.get(region.label, 0) + region.pixels
    have = dict.fromkeys(total, 0)
    for number in order:
        region = found[number]
        enough = share_of(share, total[region.label])
        if have[region.label] == 0 or have[region.label] + region.pixels <= 1.2 * enough:
            chosen[number] = True
            have[region.label] += region.pixels
    for label in total:  # one region of each class that has several is left to test on
        mine = [i for i, r in enumerate(found) if r.label == label]
        if len(mine) > 1 and all(chosen[i] for i in mine):
            chosen[max(mine, key=lambda i: found[i].pixels)] = False
    return chosen


def check_disjoint(split: PixelSplit, window: int) -> list[str]:
    """What a disjoint split must not have: windows that overlap, regions on both sides; empty where it has none."""
    found = []
    train, test = split.train >= 0, split.test >= 0
    overlapping = int((train & near(test, window)).sum())
    if overlapping:
        found.append(f"{overlapping} training pixels lie nearer than {window} px to a test pixel")
    parts, _ = regions(np.where(train, split.train, split.test))
    both = np.intersect1d(parts[train], parts[test])
    if len(both):
        found.append(f"{len(both)} label regions lie on both sides")
    return found


def counts(labels: np.ndarray, classes: int) -> list[int]:
    """Pixels of each class."""
    return np.bincount(labels[labels >= 0].astype(np.int64), minlength=classes).tolist()


def described(split: PixelSplit, classes: int) -> dict[str, Any]:
    """The split in plain values: rule, pixels per class and subset, dropped classes."""
    return {
        "by": split.by,
        "train": counts(split.train, classes),
        "val": counts(split.val, classes),
        "test": counts(split.test, classes),
        "dropped": split.dropped,
    }
