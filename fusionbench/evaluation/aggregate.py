"""From runs to comparable rows: same scenes, same protocol, seeds put together, simulated apart. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fusionbench.evaluation import marks
from fusionbench.evaluation.results import Results, Run
from fusionbench.evaluation.schema import IndexInfo, Metrics, Row, TestSet, summarise

BUDGETS = {"demo": "equal budget", "paper": "published recipe"}
RESAMPLES = 10_000
CHUNK = 200  # rows whose resampled means are held at once
PerScene = dict[str, dict[str, float]]  # index -> scene -> value


@dataclass(frozen=True)
class Entry:
    """One method of a board, its seeds put together.

    Args:
        row: means over scenes (of the means over seeds) with std_scenes.
        scenes: index -> scene -> mean over seeds.
        std_seeds: index -> standard deviation of the seeds' means; empty below two seeds.
        seeds: of its runs; empty for a comparison row.
        label: ``simulated -> real`` and the like, where training data and test data differ.
    """

    row: Row
    scenes: PerScene
    std_seeds: dict[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    label: str = ""
    converged: bool | None = None
    samples: int | None = None
    parameters: int | None = None
    year: int | None = None


@dataclass(frozen=True)
class Board:
    """Methods that may stand in one table: same scenes, same protocol, same kind of training length."""

    data: str
    simulated: bool
    test_set: str
    recipe: str
    options: str
    scenes: list[str]
    indices: dict[str, IndexInfo]
    entries: list[Entry]
    remarks: list[str]

    @property
    def may_rank(self) -> bool:
        """One scene supports no claim about which method is better."""
        return len(self.scenes) > 1

    def eligible(self) -> list[Row]:
        """Rows that may be ranked: converged ones, all if their budgets are equal, and those without training."""
        networks = [e for e in self.entries if e.row.kind == "network"]
        samples = {e.samples for e in networks}
        equal = len(samples) == 1 and None not in samples
        methods = [e for e in self.entries if e.row.kind != "reference"]
        return [e.row for e in methods if e.row.kind != "network" or equal or e.converged is True]

    def podium(self, index: str) -> tuple[set[str], set[str]]:
        """Names of the best and the second best rows of an index; none for one scene."""
        return self._podiums[index]

    @cached_property
    def _podiums(self) -> dict[str, tuple[set[str], set[str]]]:
        if not self.may_rank:
            return {index: (set(), set()) for index in self.indices}
        rows = self.eligible()
        return {
            index: marks.podium(marks.contenders(rows, info, index), info.direction)
            for index, info in self.indices.items()
        }

    def mean_ranks(self) -> dict[str, float]:
        """Mean rank of each row, see ``_ranks``."""
        return self._ranks

    @cached_property
    def _ranks(self) -> dict[str, float]:
        """Mean over indices of the rank among eligible rows with a value on every index; none for one scene."""
        counted = {name: info for name, info in self.indices.items() if not info.exp_trivial}
        rows = [row for row in self.eligible() if all(name in row.values for name in counted)]
        if not self.may_rank or not rows or not counted:
            return {}
        ranks = [
            marks.ranks({row.name: row.values[name].mean for row in rows}, info.direction)
            for name, info in counted.items()
        ]
        return {row.name: sum(rank.get(row.name, len(rows)) for rank in ranks) / len(ranks) for row in rows}

    def below(self, entry: Entry, index: str) -> bool:
        """Whether a network is below interpolation or a classical row."""
        if entry.row.kind != "network" or index not in entry.row.values:
            return False
        info = self.indices[index]
        floor = marks.contenders((e.row for e in self.entries if e.row.kind != "network"), info, index)
        return any(marks.better(value, entry.row.values[index].mean, info.direction) for value in floor.values())


@dataclass(frozen=True)
class Difference:
    """Paired difference ``first - second`` of an index: mean over ``n`` scenes, 95 % interval (None for one scene)."""

    first: str
    second: str
    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def boards(results: Results) -> list[Board]:
    """Every table that the runs support: real before simulated, then by data set, test set and recipe."""
    groups: dict[str, list[tuple[Run, Metrics, str]]] = {}
    for run, metrics in results.finished:
        for name, test_set in metrics.sets.items():
            groups.setdefault(_same(metrics, name, test_set), []).append((run, metrics, name))
    found = []
    for members in groups.values():
        recipes = sorted({m.training.recipe for _, m, name in members if _kind(m, name) == "network"})
        for recipe in recipes or [""]:
            fitting = [m for m in members if _kind(m[1], m[2]) != "network" or m[1].training.recipe == recipe]
            found.append(_board(fitting, recipe if recipes else None))
    return sorted(
        found, key=lambda b: (b.simulated, b.data, b.options, b.test_set != "Reduced resolution", b.test_set, b.recipe)
    )


def _kind(metrics: Metrics, name: str) -> str:
    return metrics.sets[name].rows[metrics.method].kind


def _same(metrics: Metrics, name: str, test_set: TestSet) -> str:
    """Equal for test sets whose numbers may be compared: data, treatment, protocol, and the very pixels."""
    data, evaluator = metrics.data, metrics.evaluator
    pixels = [[s, i.height, i.width, [f"{x:.5g}" for x in i.signature]] for s, i in sorted(test_set.scenes.items())]
    key = [data.id, data.simulated, data.collection, data.bits, data.options]
    return json.dumps([*key, evaluator.name, evaluator.version, evaluator.options, name, pixels], sort_keys=True)


def _board(members: list[tuple[Run, Metrics, str]], recipe: str | None) -> Board:
    _, first, name = members[0]
    test_set = first.sets[name]
    remarks: list[str] = []
    entries = _entries(members, remarks)
    for _, metrics, key in members:
        remarks += [note for note in metrics.sets[key].notes if note not in remarks]
    options = ", ".join(f"{key} {value}" for key, value in first.data.options.items())
    board = Board(
        data=f"{first.data.name or first.data.id}",
        simulated=first.data.simulated,
        test_set=test_set.title,
        recipe="" if recipe is None else BUDGETS.get(recipe, recipe or "published weights"),
        options=", ".join(filter(None, [first.data.collection if not first.data.simulated else "", options])),
        scenes=sorted(test_set.scenes),
        indices={index: first.indices[index] for index in test_set.indices},
        entries=entries,
        remarks=remarks,
    )
    ranks, kinds = board.mean_ranks(), {"reference": -1, "interpolation": 0, "classical": 1, "network": 2}
    entries.sort(key=lambda e: (ranks.get(e.row.name, math.inf), kinds[e.row.kind], e.row.title, e.row.name))
    return board


def _entries(members: Iterable[tuple[Run, Metrics, str]], remarks: list[str]) -> list[Entry]:
    own: dict[tuple[str, str, str], dict[int | None, tuple[Run, Metrics, str]]] = {}
    repeated = 0
    members = sorted(members, key=lambda m: (m[0].status.started or "") if m[0].status is not None else "")
    for member in members:
        metrics = member[1]
        seeds = own.setdefault((metrics.method, metrics.model.settings, metrics.label), {})
        repeated += metrics.seed in seeds
        seeds[metrics.seed] = member
    if repeated:
        remarks.append(f"{repeated} earlier run(s) of the same method, settings and seed are left out.")
    names = [key[0] for key in own]
    entries = []
    for number, ((method, settings, label), seeds) in enumerate(own.items()):
        suffix = f" [{settings[:6] or number}]" if names.count(method) > 1 else ""
        entries.append(_merged(method + suffix, suffix, label, list(seeds.values())))
    known = {key[0] for key in own}
    for run, metrics, name in members:
        for row in metrics.sets[name].rows.values():
            if row.name not in known and row.skipped is None:
                known.add(row.name)
                entries.append(Entry(row, _per_scene([(run, name, row.name)])))
    return entries


def _merged(name: str, suffix: str, label: str, runs: list[tuple[Run, Metrics, str]]) -> Entry:
    """One row from the runs of one method that differ in the seed only."""
    _, newest, key = runs[-1]
    test_set, own = newest.sets[key], newest.sets[key].rows[newest.method]
    scenes = _per_scene([(run, set_name, metrics.method) for run, metrics, set_name in runs])
    values = {index: summarise(list(scenes[index].values())) for index in test_set.indices if index in scenes}
    std_seeds = {}
    for index in values:
        rows = [m.sets[k].rows[m.method] for _, m, k in runs]
        means = [row.values[index].mean for row in rows if index in row.values]
        spread = summarise(means)
        if spread is not None and spread.std_scenes is not None:
            std_seeds[index] = spread.std_scenes
    seconds = [s for _, m, k in runs if (s := m.sets[k].rows[m.method].seconds_per_mpx) is not None]
    converged = [m.training.converged for _, m, _ in runs]
    crossed = "->" in label
    row = Row(
        name if not crossed else f"{name} ({label})",
        f"{own.title}{suffix}" + (f" ({label})" if crossed else ""),
        own.kind,
        own.n,
        {index: value for index, value in values.items() if value is not None},
        sum(seconds) / len(seconds) if seconds else None,
        own.knowledge,
    )
    return Entry(
        row,
        scenes,
        std_seeds,
        tuple(sorted(m.seed for _, m, _ in runs if m.seed is not None)),
        label if crossed else "",
        None if None in converged else all(converged),
        newest.training.samples,
        newest.model.parameters,
        newest.model.year,
    )


def _per_scene(sources: list[tuple[Run, str, str]]) -> PerScene:
    """Index -> scene -> mean over runs; scenes in order of their names, so that any number of runs sums alike."""
    collected: dict[str, dict[str, list[float]]] = {}
    for run, set_name, method in sources:
        for line in run.scenes:
            if line.set == set_name and line.method == method:
                for index, value in line.values.items():
                    collected.setdefault(index, {}).setdefault(line.scene, []).append(value)
    return {
        index: {scene: math.fsum(scenes[scene]) / len(scenes[scene]) for scene in sorted(scenes)}
        for index, scenes in collected.items()
    }


def paired(board: Board, index: str, resamples: int = RESAMPLES) -> list[Difference]:
    """Differences between all pairs of methods on the same scenes, with bootstrap intervals over scenes.

    The percentile interval of the mean difference, 95 %; all pairs share the same resampled scenes, from a fixed seed.
    """
    scores: Mapping[str, dict[str, float]] = {
        e.row.name: {s: v for s, v in e.scenes.get(index, {}).items() if math.isfinite(v)} for e in board.entries
    }
    names = [name for name, values in scores.items() if values]
    pairs = [(first, second) for i, first in enumerate(names) for second in names[i + 1 :]]
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}  # pairs that share the same scenes, which most do
    for first, second in pairs:
        common = tuple(sorted(set(scores[first]) & set(scores[second])))
        if common:
            groups.setdefault(common, []).append((first, second))
    found = {}
    for common, members in groups.items():
        table = np.array([[scores[a][s] - scores[b][s] for s in common] for a, b in members])
        for (first, second), line, (low, high) in zip(members, table, bootstrap(table, resamples), strict=True):
            found[first, second] = Difference(first, second, float(line.mean()), low, high, len(common))
    return [found[pair] for pair in pairs if pair in found]


def bootstrap(values: np.ndarray, resamples: int = RESAMPLES) -> list[tuple[float | None, float | None]]:
    """95 % percentile interval of the mean of each row of ``values`` [m, n], resampled with replacement over n.

    All rows share the same resampled columns, from a fixed seed; (None, None) for one column.
    """
    rows, n = values.shape
    if n < 2:
        return [(None, None)] * rows
    picks = np.sort(np.random.default_rng(0).integers(n, size=(resamples, n)), axis=1)
    drawn, times = np.unique(picks, axis=0, return_counts=True)  # few scenes can be drawn in few ways
    shares = np.stack([np.bincount(line, minlength=n) for line in drawn]) / n
    found: list[tuple[float | None, float | None]] = []
    for start in range(0, rows, CHUNK):
        means = values[start : start + CHUNK] @ shares.T
        order = np.argsort(means, axis=1)
        ends = np.cumsum(times[order], axis=1)
        means = np.take_along_axis(means, order, axis=1)
        low, high = (_order_statistic(means, ends, q * (resamples - 1)) for q in (0.025, 0.975))
        found += [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return found


def _order_statistic(values: np.ndarray, ends: np.ndarray, place: float) -> np.ndarray:
    """Value [m] at a (fractional) place among sorted values [m, u] of which each stands up to place ``ends`` - 1."""
    below, above = (
        np.take_along_axis(values, (ends <= k).sum(1)[:, None], 1)[:, 0] for k in (int(place), math.ceil(place))
    )
    return np.asarray(below + (place - int(place)) * (above - below))
