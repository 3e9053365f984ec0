"""The evaluator ``robustness``: a trained method under misregistration, noise, another MTF and another ratio."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import DataError, RefusedError, UserError
from fusionbench.evaluation import marks
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.changes import MTF, RATIO, SHIFT, SNR, Change, changes_of, degraded, noisy, shifted
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.indices import REDUCED, measured, q2n_name
from fusionbench.evaluation.plots import Line, Panel, draw_changes
from fusionbench.evaluation.scenewise import FIGURES, Fused
from fusionbench.evaluation.schema import CHANGED, Finding, IndexInfo, Metrics, Picture, SceneRow
from fusionbench.evaluation.spatiospectral import SpatioSpectral, digital_numbers, scene_info
from fusionbench.evaluation.summary import Seen

LABELS = {
    SHIFT: "shift of PAN (px), mean and range over 4 directions",
    SNR: "SNR of MS and PAN (dB)",
    MTF: "MTF gains, factor",
    RATIO: "ratio",
}
LOW, HIGH = "_min", "_max"  # of an index over the directions of a shift
FLOOR = "exp"


class Robustness(SpatioSpectral):
    """`SpatioSpectral`, and every scene at reduced resolution once more per change, for the method and all its rows.

    ``shift``: the guide moves by so many fine pixels, down, up, right and left; reference and ``lr`` keep their
    geometry, and 0 goes through the same windowed-sinc resampler. ``snr``: white noise on ``lr`` and ``guide``.
    ``mtf``: ``lr`` is made anew from the native MS with all gains times a factor, which no method is told. ``ratio``:
    ``lr`` is made anew at another ratio, for methods that can take it. Test sets are named ``reduced@shift=0.5``;
    values under a shift are means over its directions, with the range beside them. Interpolation, blind to PAN, is the
    floor. A method that is fitted to each scene is fitted anew under every change.

    Args:
        changes: kind -> values.
        seed: noise is drawn from (seed, scene).
        options: of `SpatioSpectral`.

    Raises:
        ConfigError: a change that does not exist or a value that makes no sense.
    """

    name = "robustness"
    version = 1

    def __init__(self, *, changes: Mapping[str, Sequence[float]], seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.changes, self.seed = changes_of(changes, self.gains), seed
        self.watched = ("ERGAS", "SAM", q2n_name(len(self.sensor.bands)))
        self._fuse: Fuse | None = None
        self._at_ratio: Callable[[int], Fuse] | None = None
        self._others: dict[int, Robustness] = {}

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: the method is run again on changed inputs."""
        self._fuse, self._at_ratio, self._others = fuse, at_ratio, {}

    def begin(self, test_sets: Sequence[str], run_dir: Path, method: str, kind: str = "network") -> None:
        """See `Evaluator.begin`.

        Raises:
            RefusedError: the data have no test set at reduced resolution.
        """
        if REDUCED not in test_sets:
            raise RefusedError(
                f"evaluator=robustness re-tests at reduced resolution; the data have {', '.join(test_sets)}"
            )
        super().begin(test_sets, run_dir, method, kind)
        self._sets += [_set_of(change) for change in self.changes]

    @torch.no_grad()
    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None:
        """See `Evaluator.observe`."""
        super().observe(set_name, batch, output, seconds)
        if set_name == REDUCED:
            self._seen += [self._changed(batch, change) for change in self.changes]

    def _changed(self, batch: Mapping[str, Any], change: Change) -> Seen:
        if self._fuse is None:
            raise DataError("robustness runs the method again: prepare() must hand it over before begin()")
        runner, variants = self, [dict(batch)]
        if change.kind == SHIFT:
            variants = shifted(batch, change.value)
        elif change.kind == SNR:
            variants = [noisy(batch, change.value, self.seed)]
        elif change.kind == MTF:
            gains = [gain * change.value for gain in self.gains]
            variants = [degraded(batch, gains, self.ratio, self.grid)]
        else:
            runner = self._other(int(change.value))
            variants = [degraded(batch, self.gains, runner.ratio, self.grid)]
        return runner._observed(_set_of(change), variants)

    def _other(self, ratio: int) -> Robustness:
        """This evaluator and its comparison rows at another ratio."""
        if ratio not in self._others:
            other = copy.copy(self)
            other.ratio, other.baselines = ratio, copy.deepcopy(self.baselines)
            for row in other.baselines.values():
                for module in row.method.modules():
                    if "ratio" in vars(module):
                        vars(module)["ratio"] = ratio
            assert self._at_ratio is not None  # set with _fuse
            try:
                other._fuse = self._at_ratio(ratio)
            except UserError as error:
                other._fuse = _refusing(error)
            self._others[ratio] = other
        return self._others[ratio]

    def _observed(self, set_name: str, variants: Sequence[Mapping[str, Any]]) -> Seen:
        """All methods on the variants of one scene: the mean of every index, and its range where there are several."""
        found: dict[str, list[dict[str, float]]] = {}
        skipped: dict[str, str] = {}
        kinds: dict[str, str] = {}
        for batch in variants:
            scene = self._scene(batch)
            for product in (self._own(batch, scene.peak), *self._compare(REDUCED, scene)):
                kinds[product.name] = product.kind
                if product.image is None:
                    skipped[product.name] = product.skipped or ""
                    continue
                image = product.image.clamp(0, scene.peak + 1) if self.clip else product.image
                values, _ = measured(scene, image, self.border, only=self.watched)
                found.setdefault(product.name, []).append(values)
        name = str(variants[0]["scene"][0])
        info = scene_info(self._scene(variants[0]), None)
        rows = [
            SceneRow(set_name, name, method, kinds[method], self._over(lines, set_name), valid_share=info.valid_share)
            for method, lines in found.items()
        ]
        return Seen(set_name, name, info, rows, skipped, [], [], [])

    def _own(self, batch: Mapping[str, Any], peak: float) -> Fused:
        assert self._fuse is not None
        try:
            output = self._fuse(batch)
        except UserError as error:
            return Fused(*self._method, None, None, str(error))
        wanted = [1, batch["lr"].shape[1], *batch["guide"].shape[-2:]]
        if list(output.shape) != wanted:
            return Fused(*self._method, None, None, f"it gave {list(output.shape)}, not {wanted}")
        return Fused(*self._method, digital_numbers(output, peak), None)

    def _over(self, lines: Sequence[Mapping[str, float]], set_name: str) -> dict[str, float]:
        values = {index: math.fsum(line[index] for line in lines) / len(lines) for index in self.watched}
        if not set_name.startswith(f"{REDUCED}{CHANGED}{SHIFT}="):
            return values
        for index in self.watched:
            here = [line[index] for line in lines]
            values |= {index + LOW: min(here), index + HIGH: max(here)}
        return values

    # --- what is concluded ---

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        known = super()._described()
        watched = {index: known[REDUCED][index] for index in self.watched}
        ends = {LOW: "least", HIGH: "largest"}
        directed = {
            index + end: replace(info, variant=f"{said} of the four directions")
            for index, info in watched.items()
            for end, said in ends.items()
        }
        return known | {_set_of(c): watched | (directed if c.kind == SHIFT else {}) for c in self.changes}

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"changes": [str(change) for change in self.changes], "seed": self.seed}

    def _concluded(self, metrics: Metrics, seen: list[Seen]) -> Metrics:
        return replace(metrics, findings=[*metrics.findings, self._finding(metrics)])

    def _finding(self, metrics: Metrics) -> Finding:
        rows = metrics.sets[REDUCED].rows
        digits = metrics.indices["ERGAS"].digits
        lines = [["none", *(_cell(metrics, REDUCED, method, digits) for method in rows)]]
        lines += [
            [str(c), *(_cell(metrics, _set_of(c), method, digits) for method in rows)]
            for c in self.changes
            if _set_of(c) in metrics.sets
        ]
        notes = [
            "Reference unchanged; shift moves PAN (mean and range over four directions, 0 through the same resampler), "
            "snr is noise on MS and PAN in dB, mtf multiplies the gains with which the native MS was degraded (no "
            "method is told), ratio degrades by another ratio (ERGAS then is 100/ratio times the relative RMSE)"
        ]
        return Finding(
            "ERGAS under changes",
            ["change", *(row.title for row in rows.values())],
            lines,
            [*notes, *self._floor(metrics)],
        )

    def _floor(self, metrics: Metrics) -> list[str]:
        """From which change on the method is no better than interpolation, which does not look at PAN."""
        own, found = metrics.method, []
        if own == FLOOR or FLOOR not in metrics.sets[REDUCED].rows:
            return []
        for kind in (SHIFT, SNR):
            harder = sorted((c for c in self.changes if c.kind == kind), key=lambda c: c.value, reverse=kind == SNR)
            for change in harder:
                mine, floor = (_mean(metrics, _set_of(change), method, "ERGAS") for method in (own, FLOOR))
                if mine >= floor:
                    found.append(f"on ERGAS {metrics.model.name or own} is no better than EXP from {change} on")
                    break
        return found

    def _draw(self, run_dir: Path, seen: list[Seen], metrics: Metrics, facts: RunFacts) -> list[Picture]:
        pictures = super()._draw(run_dir, seen, metrics, facts)
        titles = {name: row.title for name, row in metrics.sets[REDUCED].rows.items()}
        for index in self.watched:
            panels = [
                Panel(LABELS[kind], lines, falling=kind == SNR)
                for kind in dict.fromkeys(c.kind for c in self.changes)
                if (lines := self._lines(metrics, kind, index))
            ]
            if not panels:
                continue
            file = f"{FIGURES}/robustness-{index}.png"
            info = metrics.indices[index]
            draw_changes(run_dir / file, panels, marks.heading(index, info), titles, metrics.method)
            note = f"{index} under changes of the inputs, mean over scenes"
            pictures.append(Picture(file, "", "", metrics.method, "plot", note=note))
        return pictures

    def _lines(self, metrics: Metrics, kind: str, index: str) -> dict[str, Line]:
        places = [(c.value, _set_of(c)) for c in self.changes if c.kind == kind and _set_of(c) in metrics.sets]
        if kind == RATIO:
            places.append((float(self.ratio), REDUCED))
        lines = {}
        for method in metrics.sets[REDUCED].rows:
            known = [(x, name) for x, name in sorted(places) if not math.isnan(_mean(metrics, name, method, index))]
            if known:
                ends = (LOW, HIGH) if kind == SHIFT else ()
                ranges = [[_mean(metrics, name, method, index + end) for _, name in known] for end in ends]
                lines[method] = Line(
                    [x for x, _ in known], [_mean(metrics, name, method, index) for _, name in known], *ranges
                )
        return lines


def _set_of(change: Change) -> str:
    return f"{REDUCED}{CHANGED}{change}"


def _mean(metrics: Metrics, set_name: str, method: str, index: str) -> float:
    value = metrics.sets[set_name].rows[method].values.get(index) if set_name in metrics.sets else None
    return math.nan if value is None else value.mean


def _cell(metrics: Metrics, set_name: str, method: str, digits: int) -> str:
    mean, low, high = (_mean(metrics, set_name, method, f"ERGAS{end}") for end in ("", LOW, HIGH))
    text = marks.number(mean, digits)
    return text if math.isnan(low) or low == high else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def _refusing(error: UserError) -> Fuse:
    def fuse(batch: Mapping[str, Any]) -> Tensor:
        raise error

    return fuse
