"""The report of a run: one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fusionbench.evaluation import marks, views
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.plots import ERROR_COLOURS, GAMMA, PAN, REFERENCE
from fusionbench.evaluation.records import write_text
from fusionbench.evaluation.schema import CHANGED, Metrics, Picture, SceneRow, now, read_scenes
from fusionbench.evaluation.table import remarks

JPEG = 92
MANY = 8  # scenes; more of them are folded away


def write_report(run_dir: Path, metrics: Metrics, facts: RunFacts) -> None:
    """Write ``report.html`` from what lies in the run folder: scores per scene and figures.

    Args:
        run_dir: with ``scenes.csv`` and ``figures/``.
        metrics: of the run.
        facts: configuration and environment to show.
    """
    rows = read_scenes(run_dir)
    page = views.render(
        "report.html",
        metrics=metrics,
        title=f"{metrics.model.name or metrics.method} on {metrics.data.name or metrics.data.id}",
        written=now(),
        tables=[views.set_table(metrics, key) for key in metrics.sets if CHANGED not in key],
        changed=[views.set_table(metrics, key) for key in metrics.sets if CHANGED in key],
        remarks=_remarks(metrics, facts),
        summary=_summary(metrics, facts),
        scenes=[_scenes(metrics, key, rows) for key in metrics.sets if CHANGED not in key],
        registration=[_registration(metrics, key) for key in metrics.sets],
        figures=[_figures(run_dir, metrics, key) for key in metrics.sets],
        curves=[views.data_uri(run_dir / p.file) for p in metrics.pictures if p.kind == "curves"],
        plots=[(p.note, views.data_uri(run_dir / p.file)) for p in metrics.pictures if p.kind == "plot"],
        colours=_colour_bar(),
        gamma=GAMMA,
        config=yaml.safe_dump(facts.config, sort_keys=False, allow_unicode=True, width=110) if facts.config else "",
        environment=_environment(facts),
        card_notes=metrics.model.notes,
    )
    write_text(run_dir / "report.html", page)


def _remarks(metrics: Metrics, facts: RunFacts) -> list[str]:
    """What stands above the tables: all but what stands under each of them."""
    under = {f"{s.title}: {note}" for s in metrics.sets.values() for note in s.notes}
    under |= {f"{finding.title}: {note}" for finding in metrics.findings for note in finding.notes}
    lines = [line for line in remarks(metrics) if line not in under and ": one scene, so" not in line]
    return [*lines, *facts.notes]


def _summary(metrics: Metrics, facts: RunFacts) -> dict[str, str]:
    training, model, data = metrics.training, metrics.model, metrics.data
    options = ", ".join(f"{key} {value}" for key, value in data.options.items())
    lines: dict[str, Any] = {
        "data": ", ".join(
            filter(None, [data.name or data.id, data.collection, f"{data.bits} bits" if data.bits else ""])
        ),
        "data options": options,
        "method": ", ".join(filter(None, [model.name or model.id, str(model.year or ""), model.regime])),
        "parameters": None if model.parameters is None else marks.count(model.parameters),
        "trained on": training.trained_on,
        "recipe": training.recipe if training.steps is not None else None,
        "steps": None if training.steps is None else marks.count(training.steps),
        "samples seen": None if training.samples is None else marks.count(training.samples),
        "training time": None if training.seconds is None else marks.duration(training.seconds),
        "converged": {True: "yes", False: "no", None: None}[training.converged],
        "seed": metrics.seed,
        "evaluator": f"{metrics.evaluator.name} {metrics.evaluator.version}",
        "tags": ", ".join(metrics.labels),
    }
    return {key: str(value) for key, value in lines.items() if value not in (None, "")}


def _scenes(metrics: Metrics, key: str, rows: list[SceneRow]) -> dict[str, Any]:
    test_set = metrics.sets[key]
    groups = []
    for scene, info in test_set.scenes.items():
        lines = []
        for row in (row for row in rows if row.set == key and row.scene == scene):
            cells = [marks.number(row.values.get(index), metrics.indices[index].digits) for index in test_set.indices]
            title = test_set.rows[row.method].title
            lines.append({"title": title, "cells": cells, "own": row.method == metrics.method, "seconds": row.seconds})
        groups.append(
            {"scene": scene, "size": f"{info.height} × {info.width}", "valid": info.valid_share, "lines": lines}
        )
    heads = views.columns(test_set.indices, metrics.indices)
    return {"title": test_set.title, "columns": heads, "groups": groups, "open": len(groups) <= MANY}


def _registration(metrics: Metrics, key: str) -> dict[str, Any]:
    test_set, ratio = metrics.sets[key], metrics.data.ratio or 1
    known = [(scene, info.shift) for scene, info in test_set.scenes.items() if info.shift is not None]
    lines = [
        {"scene": scene, "shift": shift, "ms": (shift.dy**2 + shift.dx**2) ** 0.5 / ratio} for scene, shift in known
    ]
    return {"title": test_set.title, "lines": lines, "warned": any(shift.warned for _, shift in known)}


def _figures(run_dir: Path, metrics: Metrics, key: str) -> dict[str, Any]:
    """The pictures of one test set, scene by scene."""
    test_set = metrics.sets[key]
    titles = {REFERENCE: "Reference", PAN: "PAN"} | {name: row.title for name, row in test_set.rows.items()}
    scenes: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for picture in metrics.pictures:
        if picture.set != key:
            continue
        groups = scenes.setdefault(picture.scene, {"composite": [], "error": [], "map": [], "spectra": []})
        groups[picture.kind].append(_picture(run_dir, picture, titles, metrics.method))
    return {"title": test_set.title, "scenes": scenes}


def _picture(run_dir: Path, picture: Picture, titles: Mapping[str, str], own: str) -> dict[str, Any]:
    quality = None if picture.kind == "spectra" else JPEG
    return {
        "source": views.data_uri(run_dir / picture.file, quality),
        "title": titles.get(picture.method, picture.method),
        "file": picture.file,
        "note": picture.note,
        "own": picture.method == own,
        "top": f"{picture.stretch[-1]:.3g}" if picture.stretch else "",
    }


def _colour_bar() -> str:
    """The colours of error maps as a CSS gradient."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ", ".join(to_hex(colormaps[ERROR_COLOURS](i / 8)) for i in range(9))


def _environment(facts: RunFacts) -> dict[str, str]:
    found = facts.environment
    if found is None:
        return {}
    dirty = " with uncommitted changes" if found.dirty else ""
    lines = {
        **found.versions,
        "python": found.python,
        "platform": found.platform,
        "device": found.device,
        "devices": found.devices,
        "precision": found.precision,
        "threads": found.threads,
        "commit": None if found.commit is None else found.commit[:12] + dirty,
        "data fingerprint": found.fingerprint[:16],
        "wall time": None if found.wall_seconds is None else marks.duration(found.wall_seconds),
        "peak memory": None if found.peak_memory_mb is None else f"{found.peak_memory_mb:,.0f} MB",
    }
    return {key: str(value) for key, value in lines.items() if value not in (None, "")}
