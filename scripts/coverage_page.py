"""Write docs/coverage.md: what of the survey runs, and by which command. Run: python scripts/coverage_page.py"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fusionbench.app import catalogue, check

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "coverage.md"
LISTED = Path(__file__).with_name("coverage.yaml")
NOT_YET = "not yet"
HEAD = """# Coverage of the survey

Rows of Tables 5 and 6 of Li et al., *Deep learning in multimodal remote sensing data fusion: A comprehensive review*,
International Journal of Applied Earth Observation and Geoinformation 112, 2022, and the tasks that its sections 3 and 5
name, each with a command that runs it. Generated from the cards in `configs/` by `python scripts/coverage_page.py`.
"""
# data sets that stand first where a method takes several
USUAL = ("worldview3", "pavia_centre", "pavia_university", "cave", "cia", "houston2013", "usgs_buildings", "muufl")


@cache
def _path() -> list[str]:
    return list(catalogue.search_path())


@cache
def _cards() -> Mapping[str, Mapping[str, Any]]:
    return catalogue.cards("model", _path())


@cache
def _data() -> Mapping[str, Mapping[str, Any]]:
    return {
        name: check.settled(body) | {"keys": list(body)} for name, body in catalogue.bodies("data", _path()).items()
    }


def _fits(model: str, data: str) -> bool:
    return check.mismatch(_cards()[model], _data()[data]) is None


def _pair(models: Sequence[str], data: Sequence[str]) -> tuple[str, str] | None:
    """The first data set, and the first model for it, that are there and fit each other."""
    there = [model for model in models if model in _cards()]
    return next(((m, d) for d in data if d in _data() for m in there if _fits(m, d)), None)


def _command(model: str, data: str, *options: str) -> str:
    return f"`python train.py {' '.join([f'model={model}', f'data={data}', *options])}`"


def _of_task(row: Mapping[str, Any]) -> str:
    """The command of a task, or that there is none."""
    pair = _pair(row.get("models", ()), row.get("data", ()))
    groups = {group: row[group] for group in ("evaluator", "loss") if group in row}
    if pair is None or any(name not in catalogue.options(group, _path()) for group, name in groups.items()):
        return NOT_YET
    if any(key not in _data()[pair[1]]["keys"] for key in row.get("keys", ())):
        return NOT_YET
    chosen = [f"{group}={name}" for group, name in groups.items()]
    return _command(*pair, *([row["options"]] if "options" in row else []), *chosen)


def _of_method(method: str) -> str:
    if method not in _cards():
        return NOT_YET
    task = _cards()[method]["task"]
    mine = [d for d in (*USUAL, *sorted(_data())) if d in _data() and _data()[d]["card"].get("task") == task]
    others = [d for d in (*USUAL, *sorted(_data())) if d in _data()]
    pair = _pair([method], [*mine, *others])
    return NOT_YET if pair is None else _command(*pair)


def methods() -> list[tuple[str, str, str]]:
    """Group, name as printed and id of every method listed."""
    listed = yaml.safe_load(LISTED.read_text(encoding="utf-8"))["methods"]
    found = []
    for group, names in listed.items():
        for name in names:
            title, identity = next(iter(name.items())) if isinstance(name, dict) else (name, name.lower())
            found.append((group, title, identity))
    return found


def page() -> str:
    """The whole page as Markdown."""
    listed = yaml.safe_load(LISTED.read_text(encoding="utf-8"))
    sets = [
        (f"{row['group']}: {row['source']} ({row['reference']})", _every(row["data"], row["models"]))
        for row in listed["data_sets"]
    ]
    found = [(group, f"{title} (`{method}`)", _of_method(method)) for group, title, method in methods()]
    tasks = [(row["section"], row["task"], _of_task(row)) for row in listed["tasks"]]
    lines = [HEAD]
    for title, rows in (
        ("Tasks of sections 3 and 5", tasks),
        ("Methods, Table 6", found),
        ("Data sets, Table 5", sets),
    ):
        lines += [f"\n## {title}\n", f"{sum(NOT_YET not in row[-1] for row in rows)} of {len(rows)} run.\n"]
        heads = {3: ("section", "task", "command"), 2: ("data set", "command")}[len(rows[0])]
        if title.startswith("Methods"):
            heads = ("group", "method", "command")
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _every(data: Sequence[str], models: Sequence[str]) -> str:
    """Commands of all data sets of a row, and which are missing."""
    pairs = {name: _pair(models, [name]) or _pair(sorted(_cards()), [name]) for name in data}
    there = [_command(*pair) for pair in pairs.values() if pair is not None]
    absent = [name for name, pair in pairs.items() if pair is None]
    return "<br>".join(there) + (f"<br>{NOT_YET}: {', '.join(absent)}" if there and absent else "") or NOT_YET


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
