"""What a table may claim: the best, what is below the floor, and with which numbers. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fusionbench.evaluation.schema import CHANGED, IndexInfo, Metrics, Row, TestSet, Value

DAGGER = "†"
ARROWS = {"max": "↑", "min": "↓"}


@dataclass(frozen=True)
class Flag:
    """A trained network that one index puts below interpolation or below classical rows."""

    set: str
    index: str
    method: str
    below: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} is below {' and '.join(self.below)} on {self.index} ({self.set})"


def better(a: float, b: float, direction: str) -> bool:
    """Whether ``a`` is strictly better than ``b``; a value that does not exist (NaN) is never better."""
    if math.isnan(a):
        return False
    if math.isnan(b):
        return True
    return a > b if direction == "max" else a < b


def order(values: Mapping[str, float], direction: str) -> list[str]:
    """Names from best to worst; equal values keep their order, NaN left out."""
    known = [name for name, value in values.items() if not math.isnan(value)]
    return sorted(known, key=lambda name: values[name], reverse=direction == "max")


def ranks(values: Mapping[str, float], direction: str) -> dict[str, float]:
    """Rank of each name from 1; equal values share the mean of their places."""
    names = order(values, direction)
    result: dict[str, float] = {}
    start = 0
    while start < len(names):
        end = start
        while end < len(names) and values[names[end]] == values[names[start]]:
            end += 1
        result.update(dict.fromkeys(names[start:end], (start + 1 + end) / 2))
        start = end
    return result


def podium(values: Mapping[str, float], direction: str) -> tuple[set[str], set[str]]:
    """The names that are best and those that are second best; equal values share their place."""
    names = order(values, direction)
    if not names:
        return set(), set()
    first = {n for n in names if values[n] == values[names[0]]}
    rest = [n for n in names if n not in first]
    return first, {n for n in rest if values[n] == values[rest[0]]} if rest else set()


def contenders(rows: Iterable[Row], info: IndexInfo, index: str) -> dict[str, float]:
    """Means that may be marked best on an index: interpolation is left out where it is ideal by construction."""
    return {
        row.name: row.values[index].mean
        for row in rows
        if index in row.values and row.kind != "reference" and not (info.exp_trivial and row.kind == "interpolation")
    }


def flags(metrics: Metrics) -> list[Flag]:
    """Where a network of a run is below EXP or below a classical row, index by index."""
    found = []
    for key, test_set in metrics.sets.items():
        if CHANGED in key:  # made to be hard
            continue
        for index in test_set.indices:
            info = metrics.indices[index]
            for row in test_set.rows.values():
                if row.kind != "network" or index not in row.values:
                    continue
                below = tuple(
                    other.title
                    for other in test_set.rows.values()
                    if other.kind not in ("network", "reference")
                    and index in other.values
                    and not (info.exp_trivial and other.kind == "interpolation")
                    and better(other.values[index].mean, row.values[index].mean, info.direction)
                )
                if below:
                    found.append(Flag(test_set.title, index, row.title, below))
    return found


def may_rank(test_set: TestSet) -> bool:
    """One scene supports no claim about which method is better."""
    return len(test_set.scenes) > 1


def number(value: float | None, digits: int) -> str:
    """A value as printed; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return ("∞" if value > 0 else "-∞") if math.isinf(value) else f"{value:.{digits}f}"


def spread(value: Value, digits: int) -> str:
    """The standard deviation over scenes as printed; nothing for one scene."""
    return "" if value.std_scenes is None else f"± {number(value.std_scenes, digits)}"


def heading(index: str, info: IndexInfo) -> str:
    """Name, direction and unit of an index as a column heading."""
    return f"{index} {ARROWS[info.direction]}" + (f" [{info.unit}]" if info.unit else "")


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def count(value: int | None) -> str:
    """A count with thousands set apart."""
    return "–" if value is None else f"{value:,}"
