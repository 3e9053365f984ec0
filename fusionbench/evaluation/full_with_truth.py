"""The evaluator ``full_with_truth``: full resolution of simulated scenes against the truth.

No benchmark of real images can say whether the reduced-resolution protocol, or an index without reference, puts methods
into the order that full resolution deserves. Simulated scenes can: their truth is the noise-free scene through the MS
band responses and the MTF of an MS sensor of PAN's GSD.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scipy.stats import spearmanr
from torch import Tensor

from fusionbench.errors import ConfigError, DataError, RefusedError
from fusionbench.evaluation.indices import FULL, REDUCED, Scene, described, measured, q2n_name
from fusionbench.evaluation.schema import Finding, IndexInfo, Metrics, SceneRow
from fusionbench.evaluation.spatiospectral import SpatioSpectral
from fusionbench.evaluation.summary import Seen
from fusionbench.metrics import functional as indices

RQNR = "RQNR_unvalidated"
FEWEST = 3  # methods or pairs that have a rank order worth a number


class FullWithTruth(SpatioSpectral):
    """Indices of `SpatioSpectral`, and at full resolution also those with reference, the truth being the reference.

    From all scenes and methods follows how well each index that can be had without truth ranks: Spearman's correlation
    with each index against the truth, both turned so that larger is better (1: the same order), pooled over all pairs
    of scene and method, and within scenes (mean over scenes of the correlation over methods).

    Args:
        simulated: whether the data are.
        truth: asks the data module for the truth; it cannot be turned off.
        options: of `SpatioSpectral`.

    Raises:
        RefusedError: real images.
        ConfigError: ``truth`` is false.
    """

    name = "full_with_truth"
    version = 1

    def __init__(self, *, simulated: bool, truth: bool = True, **options: Any) -> None:
        if not simulated:
            raise RefusedError(
                "evaluator=full_with_truth scores against the truth, which real images do not have; use "
                "data.source=simulated, or evaluator=spatiospectral"
            )
        if not truth:
            raise ConfigError("evaluator.truth=false: full_with_truth needs it; use evaluator=spatiospectral")
        super().__init__(**options)

    def _measured(self, set_name: str, scene: Scene, image: Tensor) -> tuple[dict[str, float], list[str]]:
        if set_name != FULL:
            return super()._measured(set_name, scene, image)
        if scene.target is None:
            raise DataError("full_with_truth: the full-resolution batch has no target; data.module.truth=true gives it")
        values, missing = super()._measured(set_name, scene, image)
        blind, why = measured(replace(scene, target=None), image)
        try:
            blind[RQNR] = float(
                indices.rqnr_unvalidated(
                    image, scene.lr, scene.guide, gains=scene.gains, exp=scene.exp, grid=scene.grid, valid=scene.valid
                )
            )
        except DataError as error:
            blind[RQNR] = math.nan
            why = [*why, f"{RQNR}: {error}"]
        return values | blind, [*missing, *why]

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        known = super()._described()
        rqnr = IndexInfo("max", "", 4, "(1 - D_lambda_K) R², PAN regressed on the fused bands; definition unvalidated")
        return known | {FULL: known[REDUCED] | known[FULL] | {RQNR: rqnr}}

    def _concluded(self, metrics: Metrics, seen: list[Seen]) -> Metrics:
        rows = [row for item in seen for row in item.rows]
        truths = [name for name in ("ERGAS", "SAM", q2n_name(len(self.sensor.bands))) if name in metrics.indices]
        blind = [*described(len(self.sensor.bands), self.ratio, 0)[FULL], RQNR]
        guesses = [(REDUCED, name) for name in truths] + [(FULL, name) for name in blind]
        found = ranking(rows, guesses, [(FULL, name) for name in truths], metrics.indices)
        sets = dict(metrics.sets)
        if FULL in sets:
            note = "with reference: against the simulated truth, on PAN's grid"
            sets[FULL] = replace(
                sets[FULL], title="Full resolution, against the truth", notes=[*sets[FULL].notes, note]
            )
        return replace(metrics, sets=sets, findings=[*metrics.findings, found])


def ranking(
    rows: Sequence[SceneRow],
    guesses: Sequence[tuple[str, str]],
    truths: Sequence[tuple[str, str]],
    infos: Mapping[str, IndexInfo],
) -> Finding:
    """Spearman's rank correlation of every guess with every truth, pooled and within scenes.

    Args:
        rows: values per set, scene and method.
        guesses: (set, index) that can be had without truth.
        truths: (set, index) against the truth.
        infos: directions; all values are turned so that larger is better.
    """
    table: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for row in rows:
        for index, value in row.values.items():
            if not math.isnan(value):
                turned = value if infos[index].direction == "max" else -value
                table.setdefault((row.set, index), {})[row.scene, row.method] = turned
    cells = []
    for guess in guesses:
        line = [f"{guess[1]}, {guess[0]}"]
        for truth in truths:
            pooled, within = correlations(table.get(guess, {}), table.get(truth, {}))
            line.append(f"{_shown(pooled)} / {_shown(within)}")
        cells.append(line)
    methods, scenes = (len({getattr(row, key) for row in rows}) for key in ("method", "scene"))
    return Finding(
        "Does it rank as the truth does?",
        ["index", *(f"{name} against the truth" for _, name in truths)],
        cells,
        [
            f"Spearman's rank correlation over {methods} methods x {scenes} scenes: pooled over all pairs / mean over "
            "scenes of the correlation over methods; both sides turned so that larger is better, 1 is the same order"
        ],
    )


def correlations(guess: Mapping[tuple[str, str], float], truth: Mapping[tuple[str, str], float]) -> tuple[float, float]:
    """Spearman's correlation of two tables (scene, method) -> value over their common keys: pooled, within scenes.

    NaN where fewer than three values, or no two different ones, are there.
    """
    keys = sorted(set(guess) & set(truth))
    by_scene: dict[str, list[tuple[str, str]]] = {}
    for key in keys:
        by_scene.setdefault(key[0], []).append(key)
    within = [_spearman(guess, truth, group) for group in by_scene.values()]
    known = [value for value in within if not math.isnan(value)]
    return _spearman(guess, truth, keys), statistics.fmean(known) if known else math.nan


def _spearman(
    a: Mapping[tuple[str, str], float], b: Mapping[tuple[str, str], float], keys: Sequence[tuple[str, str]]
) -> float:
    x, y = [a[key] for key in keys], [b[key] for key in keys]
    if len(keys) < FEWEST or len(set(x)) < 2 or len(set(y)) < 2:
        return math.nan
    return float(spearmanr(x, y).statistic)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2f}"
