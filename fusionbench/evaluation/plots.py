"""Line plots of a run as PNG: spectra and learning curves. Transparent, in colours readable on light and dark pages."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusionbench.errors import DataError

REFERENCE, PAN = "reference", "pan"  # stand where a method's id stands
ERROR_COLOURS = "magma"
GAMMA = 1.4  # of composites: bright roofs leave little range to the rest
INK = "#808691"  # mid grey: 3.6:1 on white, 5:1 on the dark page
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a6fd1", "#a0a03a")
OWN = "#e5484d"
STEP = "step"

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class Spectrum:
    """Mean spectrum of 3 x 3 pixels at one place, in digital numbers, per product (``reference`` among them)."""

    place: str
    row: int
    column: int
    values: dict[str, list[float]]


@dataclass(frozen=True)
class Line:
    """One method over a change: x, mean, and the range around it (empty: none)."""

    x: list[float]
    mean: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Panel:
    """One kind of change: label of its axis, method -> line; ``falling``: harder to the left, drawn to the right."""

    label: str
    lines: dict[str, Line]
    falling: bool = False


def colour_of(methods: Sequence[str], own: str) -> dict[str, str]:
    """One colour per method, the run's own always the same."""
    others = [method for method in methods if method not in (own, REFERENCE)]
    return {m: COLOURS[i % len(COLOURS)] for i, m in enumerate(others)} | {own: OWN, REFERENCE: INK}


def draw_spectra(
    path: Path,
    spectra: Sequence[Spectrum],
    centers: Sequence[float],
    titles: Mapping[str, str],
    own: str,
    unit: str = "digital number",
) -> None:
    """One panel per place: values over wavelength, reference and products."""
    figure, axes = _figure(len(spectra), 2.6)
    colours = colour_of(list(spectra[0].values), own)
    order = sorted(range(len(centers)), key=lambda band: centers[band])
    x = [centers[band] for band in order]
    for axis, spectrum in zip(axes, spectra, strict=True):
        for method, values in spectrum.values.items():
            reference = method == REFERENCE
            axis.plot(
                x,
                [values[band] for band in order],
                color=colours[method],
                lw=2.2 if reference or method == own else 1.1,
                ls="--" if reference else "-",
                marker="o",
                ms=2.5,
                zorder=3 if method == own else 2,
                label=titles.get(method, method),
            )
        axis.set_title(f"{spectrum.place} (row {spectrum.row}, column {spectrum.column})", fontsize=8, color=INK)
        axis.set_xlabel("wavelength (nm)", fontsize=8, color=INK)
    axes[0].set_ylabel(unit, fontsize=8, color=INK)
    _save(figure, path, axes[0])


def read_log(path: Path) -> dict[str, Curve]:
    """Curves of a CSV log: column -> (steps, values); empty cells are left out.

    Raises:
        DataError: no column ``step``, or a cell that is no number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if STEP not in (reader.fieldnames or ()):
            raise DataError(f"{path}: column {STEP!r} is missing")
        curves: dict[str, Curve] = {}
        for line, row in enumerate(reader, start=2):
            for name, cell in row.items():
                if name in (STEP, None) or not cell:
                    continue
                try:
                    step, value = float(row[STEP]), float(cell)
                except ValueError as error:
                    raise DataError(f"{path}, line {line}, column {name}: {cell!r} is no number") from error
                if math.isfinite(value):
                    steps, values = curves.setdefault(str(name), ([], []))
                    steps.append(step)
                    values.append(value)
    return curves


def draw_curves(path: Path, curves: Mapping[str, Curve]) -> bool:
    """Training loss (log scale) and validation values over steps; False where there is nothing to draw."""
    training = {k: v for k, v in curves.items() if k.startswith("train") and "loss" in k}
    panels: list[tuple[str, dict[str, Curve]]] = [("training loss", training)] if training else []
    panels += [(name, {name: curve}) for name, curve in curves.items() if name.startswith("val")][:3]
    if not panels:
        return False
    figure, axes = _figure(len(panels), 2.5)
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for colour, (name, (steps, values)) in zip(COLOURS * len(lines), lines.items(), strict=False):
            marker = "o" if len(steps) < 60 else None
            axis.plot(steps, values, color=colour, lw=1.4, marker=marker, ms=2.5, label=name)
        if title == "training loss" and all(v > 0 for _, values in lines.values() for v in values):
            axis.set_yscale("log")
        axis.set_title(title, fontsize=8, color=INK)
        axis.set_xlabel("step", fontsize=8, color=INK)
    _save(figure, path, axes[0] if len(training) > 1 else None)
    return True


def draw_changes(path: Path, panels: Sequence[Panel], index: str, titles: Mapping[str, str], own: str) -> None:
    """One panel per kind of change: an index over the change, a line per method, its range as a band."""
    figure, axes = _figure(len(panels), 2.6)
    for axis, panel in zip(axes, panels, strict=True):
        colours = colour_of(list(panel.lines), own)
        for method, line in panel.lines.items():
            colour, mine = colours[method], method == own
            axis.plot(
                line.x,
                line.mean,
                color=colour,
                lw=2.2 if mine else 1.1,
                marker="o",
                ms=2.5,
                zorder=3 if mine else 2,
                label=titles.get(method, method),
            )
            if line.low and line.high:
                axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.2, lw=0)
        axis.set_xlabel(panel.label, fontsize=8, color=INK)
        places = sorted({x for line in panel.lines.values() for x in line.x})
        axis.set_xticks(places, [f"{x:g}" for x in places])
        if panel.falling:
            axis.invert_xaxis()
    axes[0].set_ylabel(index, fontsize=8, color=INK)
    _save(figure, path, axes[0])


def draw_bars(path: Path, bars: Mapping[str, Sequence[float]], places: Sequence[str], unit: str) -> None:
    """Groups of bars, one per place, a bar per name; the first name in grey."""
    figure, (axis,) = _figure(1, 2.8)
    figure.set_figwidth(max(5.0, 0.9 * len(places) + 1))
    width = 0.8 / len(bars)
    for number, (name, values) in enumerate(bars.items()):
        colour = INK if number == 0 else COLOURS[(number - 1) % len(COLOURS)]
        axis.bar([i + number * width for i in range(len(places))], values, width, color=colour, label=name)
    axis.set_xticks([i + 0.4 - width / 2 for i in range(len(places))], list(places))
    axis.set_ylabel(unit, fontsize=8, color=INK)
    _save(figure, path, axis)


def _figure(panels: int, height: float) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9 * panels + 0.4, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    axes = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for axis in axes:
        axis.patch.set_alpha(0)
        axis.grid(color=INK, alpha=0.25, lw=0.5)
        axis.tick_params(colors=INK, labelsize=7, which="both")
        for side in axis.spines.values():
            side.set_color(INK)
            side.set_alpha(0.5)
    return figure, axes


def _save(figure: Any, path: Path, legend_of: Any | None) -> None:
    if legend_of is not None:
        handles, labels = legend_of.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=7, frameon=False, labelcolor=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
