"""The verb ``table``: a published table beside what was measured here; ``--run`` measures what is missing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fusionbench.app import catalogue, screen
from fusionbench.data.locate import locate
from fusionbench.errors import ConfigError, DataError, UserError
from fusionbench.evaluation import published as tables
from fusionbench.evaluation.published import Measured, PublishedRow, PublishedTable

# any data set of so many bands: counts depend on nothing else of it
_BY_BANDS = {4: "quickbird", 8: "worldview3"}
_HOURS = {"classical": "minutes", "network": "hours to days each (recipe=paper)"}


@dataclass(frozen=True)
class Request:
    """What was asked for: the table's id, the folder of runs, which rows, overrides for Hydra."""

    id: str
    folder: Path
    rows: str
    everything: bool
    run: bool
    overrides: list[str]


def table(arguments: Sequence[str]) -> int:
    """``fusionbench table <id> [<folder of runs>] [--all] [--rows classical|networks] [--run] | --list``.

    Raises:
        ConfigError: no such table.
    """
    parser = argparse.ArgumentParser(prog="fusionbench table", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--rows", choices=["all", "classical", "networks"], default="all")
    given = parser.parse_args(list(arguments))
    overrides = [text for text in given.names if "=" in text]
    names = [text for text in given.names if "=" not in text]
    known = catalogue.options("table", catalogue.search_path(overrides))
    if given.list:
        screen.show(_listing({name: _read(name, known) for name in known}, overrides))
        return 0
    if not 1 <= len(names) <= 2:
        raise ConfigError("table takes an id, and perhaps a folder of runs: fusionbench table params_wv3 (or --list)")
    if names[0] not in known:
        raise catalogue.unknown("table", names[0], known)
    outputs = Path(names[1] if len(names) == 2 else _setting(overrides, "paths.outputs", "outputs"))
    request = Request(names[0], outputs, given.rows, given.all, given.run, overrides)
    return _show(_read(names[0], known), request)


def _read(name: str, known: Mapping[str, Any]) -> PublishedTable:
    return tables.read_table(catalogue.read_yaml(known[name]), f"table/{name}.yaml")


def _setting(overrides: Sequence[str], key: str, default: str) -> str:
    return next((text.partition("=")[2] for text in overrides if text.startswith(f"{key}=")), default)


def _regimes(overrides: Sequence[str]) -> dict[str, str]:
    found = catalogue.cards("model", catalogue.search_path(overrides))
    return {name: "classical" if card.get("regime") == "classical" else "network" for name, card in found.items()}


def _wanted(found: PublishedTable, request: Request) -> list[PublishedRow]:
    kinds = _regimes(request.overrides)
    keep = {"all": ("classical", "network", None), "classical": ("classical",), "networks": ("network",)}[request.rows]
    return [row for row in tables.visible(found.rows, request.everything) if kinds.get(row.method) in keep]


def _show(found: PublishedTable, request: Request) -> int:
    rows = _wanted(found, request)
    if not rows:
        raise ConfigError(f"--rows {request.rows}: {request.id} has no such row" + _memory_hint(found, request))
    code = _run_missing(found, rows, request) if request.run else 0
    runs = tables.read_runs(request.folder) if request.folder.is_dir() else []
    counts = _counts(found, rows) if found.kind == "equal" else {}
    cells = {
        (number, metric.name): counts.get(row.method)
        if found.kind == "equal"
        else tables.measured(found, row, metric.name, runs)
        for number, row in enumerate(rows)
        for metric in found.metrics
    }
    screen.show(_table(found, rows, cells))
    for line in _remarks(found, rows, request, cells):
        screen.show(line)
    return code


def _memory_hint(found: PublishedTable, request: Request) -> str:
    hidden = len(found.rows) - len(tables.visible(found.rows, request.everything))
    return f"; {hidden} rows quoted from memory are shown with --all" if hidden else ""


def _table(
    found: PublishedTable, rows: Sequence[PublishedRow], cells: Mapping[tuple[int, str], Measured | None]
) -> Any:
    from rich.table import Table

    shown = Table(title=found.title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    shown.add_column("method", no_wrap=True)
    for metric in found.metrics:
        unit = f" [{metric.unit}]" if metric.unit not in ("1", "") else ""
        for column in (f"{metric.name}{unit} published", "measured", "difference"):
            shown.add_column(column, justify="right")
    shown.add_column("certainty")
    for number, row in enumerate(rows):
        line = [row.title]
        for metric in found.metrics:
            mean, spread = (row.published.get(metric.name) or [None, None])[:2]
            ours = cells[number, metric.name]
            line.append("" if mean is None else f"{mean:g}" + ("" if spread is None else f" ± {spread:g}"))
            line.append("–" if ours is None else f"{ours.value:.{_digits(mean)}f}" + ("*" if ours.caveats else ""))
            line.append("" if ours is None or mean is None else f"{ours.value - mean:+.{_digits(mean)}f}")
        shown.add_row(*line, row.certainty)
    return shown


def _digits(value: float | None) -> int:
    if value is None:
        return 4
    text = f"{value:g}"
    return len(text.partition(".")[2]) if "." in text else 0


def _remarks(
    found: PublishedTable,
    rows: Sequence[PublishedRow],
    request: Request,
    cells: Mapping[tuple[int, str], Measured | None],
) -> list[str]:
    lines = [f"Published: {found.paper.get('title')}, {found.paper.get('venue')} {found.paper.get('year')}."]
    lines += [f"Test set: {found.test_set}; protocol: {found.protocol}."]
    ours = [cell for cell in cells.values() if cell is not None]
    if found.kind != "equal":
        lines += _data_remarks(found, request, bool(ours))
        differing = list(dict.fromkeys(text for cell in ours for text in tables.differing(found, _our_variant(cell))))
        if differing:
            lines.append(
                "Not a difference in the methods alone, since the indices differ or may: " + "; ".join(differing)
            )
    caveats = sorted({f"{cell.run}: {', '.join(cell.caveats)}" for cell in ours if cell.caveats})
    lines += [f"* {caveat}" for caveat in caveats]
    hidden = len(found.rows) - len(tables.visible(found.rows, request.everything))
    lines += [f"{hidden} rows quoted from memory are left out; --all shows them."] if hidden else []
    lines += [f"- {note}" for note in found.notes]
    if found.kind == "equal":
        unequal = [
            row.title
            for number, row in enumerate(rows)
            for metric in found.metrics
            if (cell := cells[number, metric.name]) is not None
            and row.variant is None
            and row.published.get(metric.name, [None])[0] != cell.value
        ]
        lines.append(f"Unequal: {', '.join(unequal)}." if unequal else "All counts that can be measured are equal.")
    return lines


def _our_variant(cell: Measured) -> dict[str, Any]:
    """How the indices of a measured value were computed: what its run chose, and what is fixed."""
    clip = "0 .. 2^bits" if cell.options.get("clip") else "none"
    return {"border": cell.options.get("border", 0), "clip": clip, "peak": "2^bits - 1", "q_block": 32}


def _data_remarks(found: PublishedTable, request: Request, any_run: bool) -> list[str]:
    if not found.on_readable_data:
        return ["Nothing is measured: no collection that fusionbench reads holds this test set."]
    if any_run:
        return []
    if not _at_hand(found, request.overrides):
        return [
            f"Nothing is measured: {found.data} ({found.collection}) is not on this machine; "
            f"`fusionbench data check {found.data}` says what to get and how the folder must look."
        ]
    return [f"Nothing is measured yet in {request.folder}: add --run (classical rows take {_HOURS['classical']})."]


def _at_hand(found: PublishedTable, overrides: Sequence[str]) -> bool:
    """Whether the files of a table's collection are on this machine."""
    return _located(found.data, found.collection, tuple(overrides))


@lru_cache
def _located(data: str, collection: str, overrides: tuple[str, ...]) -> bool:
    from fusionbench.app.compose import composed

    wanted = [text for text in overrides if text.startswith(("paths.", "data."))]
    cfg = composed(
        "train", ["model=exp", f"data={data}", "data.source=files", f"data.collection={collection}", *wanted]
    )
    try:
        return locate(cfg.data, cfg.paths.data) is not None
    except DataError:
        return False


def _run_missing(found: PublishedTable, rows: Sequence[PublishedRow], request: Request) -> int:
    """Run every row that no run counts for yet; a row that fails is said and does not stop the others."""
    if not found.on_readable_data:
        return 0
    from fusionbench.app.train import train

    kinds = _regimes(request.overrides)
    runs = tables.read_runs(request.folder) if request.folder.is_dir() else []
    settings = [f"{key}={value}" for key, value in found.settings.items()]
    code = 0
    for row in rows:
        missing = all(tables.measured(found, row, metric.name, runs) is None for metric in found.metrics)
        if not missing or row.variant is not None or row.method not in kinds:
            continue
        if kinds[row.method] == "network" and found.kind == "rescore":
            screen.say(f"{row.title}: import its weights (fusionbench import-weights --help), then evaluate them")
            continue
        recipe = ["recipe=paper"] if kinds[row.method] == "network" else []
        command = [f"model={row.method}", f"data={found.data}", "data.source=files", *settings, *recipe]
        command += [f"data.collection={found.collection}", f"paths.outputs={request.folder}", *request.overrides]
        try:
            code = max(code, train(command))
        except UserError as error:
            screen.error(f"{row.title}: {error}")
            code = 1
    return code


def _counts(found: PublishedTable, rows: Sequence[PublishedRow]) -> dict[str, Measured]:
    """Learnable values of each method's network, built with the table's number of bands."""
    from fusionbench.app.compose import composed
    from fusionbench.building import build

    kinds, counts = _regimes(()), {}
    for row in rows:
        if kinds.get(row.method) != "network" or row.variant is not None:
            continue
        cfg = composed("train", [f"model={row.method}", f"data={_BY_BANDS[found.bands or 8]}"])
        network = build(cfg.model.module.network, "model.module.network")
        count = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        counts[row.method] = Measured(float(count), 1, "this machine")
    return counts


def _listing(found: Mapping[str, PublishedTable], overrides: Sequence[str]) -> Any:
    from rich.table import Table

    shown = Table(title=f"{len(found)} published tables", title_justify="left", box=None, pad_edge=False)
    for name in ("id", "kind", "data", "rows", "to measure it"):
        shown.add_column(name, no_wrap=name == "id")
    order = list(tables.KINDS)
    lines = []
    for name, entry in found.items():
        here = entry.kind == "equal" or (entry.on_readable_data and _at_hand(entry, overrides))
        if entry.kind == "equal":
            cost = "seconds, no images"
        elif not entry.on_readable_data:
            cost = "its test set is in no collection that fusionbench reads"
        elif not here:
            cost = f"needs {entry.data} ({entry.collection}), not on this machine"
        else:
            cost = "minutes" if entry.kind == "rescore" else f"classical rows {_HOURS['classical']}, networks hours"
        lines.append((order.index(entry.kind), not here, name, entry, cost))
    for *_, name, entry, cost in sorted(lines, key=lambda line: line[:3]):
        shown.add_row(name, entry.kind, str(entry.data or "–"), str(len(entry.rows)), cost)
    return shown
