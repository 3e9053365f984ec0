"""The evaluator ``explain``: what of each input a method uses, and how much of PAN's detail it puts into each band."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import DataError
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.indices import REDUCED, Scene
from fusionbench.evaluation.plots import draw_bars
from fusionbench.evaluation.scenewise import FIGURES
from fusionbench.evaluation.schema import Finding, Metrics, Picture
from fusionbench.evaluation.spatiospectral import SpatioSpectral, digital_numbers
from fusionbench.evaluation.summary import Seen
from fusionbench.imaging.mtf import gaussian_low_pass
from fusionbench.metrics import functional as indices

GAIN, OCCLUDED, IDEAL = "gain ", "without ", "ideal gain "
GUIDE = "detail of PAN"
REGIONS = {
    "blue and green": (0.0, 590.0),
    "red": (590.0, 700.0),
    "near infrared": (700.0, 1100.0),
    "SWIR": (1100.0, 2600.0),
}


class Explain(SpatioSpectral):
    """`SpatioSpectral`, and at reduced resolution two questions about the method.

    *Injection gains*: the slope of the least-squares regression of what a method added to a band (fused minus
    interpolated) on PAN's detail (PAN minus its Gaussian low-pass of the MS grid), digital numbers per digital number;
    for the reference it is the gain that would have been right. All methods are measured.

    *Occlusion*: the method fuses again without PAN's detail, and without one spectral region of the MS (its bands at
    their mean over the scene). The growth of the RMSE tells what hangs on it; shares are of the sum of all growths.

    Args:
        options: of `SpatioSpectral`.
    """

    name = "explain"
    version = 1

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._fuse: Fuse | None = None
        self.regions = {
            name: [i for i, band in enumerate(self.sensor.bands) if low <= band.center < high]
            for name, (low, high) in REGIONS.items()
        }

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: the method is run again on occluded inputs."""
        self._fuse = fuse

    def _measured(self, set_name: str, scene: Scene, image: Tensor) -> tuple[dict[str, float], list[str]]:
        values, missing = super()._measured(set_name, scene, image)
        if scene.target is None:
            return values, missing
        names = [band.name for band in self.sensor.bands]
        for prefix, shown in ((GAIN, image), (IDEAL, scene.target)):
            values |= {prefix + n: g for n, g in zip(names, injection_gains(scene, shown), strict=True)}
        return values, missing

    @torch.no_grad()
    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None:
        """See `Evaluator.observe`."""
        super().observe(set_name, batch, output, seconds)
        if set_name != REDUCED:
            return
        own = next(row for row in self._seen[-1].rows if row.method == self._method[0])
        own.values.update(self._occlusion(batch, output))

    def _occlusion(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, float]:
        """RMSE (DN) with all inputs and without each."""
        if self._fuse is None:
            raise DataError("explain runs the method again: prepare() must hand it over before begin()")
        scene = self._scene(batch)
        assert scene.target is not None  # of the reduced set
        variants = {"": dict(batch), GUIDE: dict(batch) | {"guide": gaussian_low_pass(batch["guide"], self.ratio)}}
        for region, bands in self.regions.items():
            if bands:
                lr = batch["lr"].clone()
                lr[:, bands] = lr[:, bands].mean((-2, -1), keepdim=True)
                variants[region] = dict(batch) | {"lr": lr}
        found = {}
        for what, given in variants.items():
            fused = digital_numbers(self._fuse(given) if what else output, scene.peak)
            found[OCCLUDED + what] = float(indices.rmse(scene.target, fused, valid=scene.valid))
        return found

    # --- what is concluded ---

    def _concluded(self, metrics: Metrics, seen: list[Seen]) -> Metrics:
        if REDUCED not in metrics.sets:
            return metrics
        titles = {name: row.title for name, row in metrics.sets[REDUCED].rows.items() if row.skipped is None}
        return replace(
            metrics, findings=[*metrics.findings, self._gains(seen, titles), self._shares(seen, metrics.method)]
        )

    def _gains(self, seen: list[Seen], titles: Mapping[str, str]) -> Finding:
        bands = [band.name for band in self.sensor.bands]
        lines = [["reference", *(f"{_mean(seen, None, IDEAL + band):.3f}" for band in bands)]]
        lines += [[titles[m], *(f"{_mean(seen, m, GAIN + band):.3f}" for band in bands)] for m in titles]
        return Finding(
            "Injection gains",
            ["method", *bands],
            lines,
            ["DN that a band gains per DN of PAN's detail, mean over scenes; the reference's would have been right"],
        )

    def _shares(self, seen: list[Seen], method: str) -> Finding:
        whole = _mean(seen, method, OCCLUDED)
        without = {what: _mean(seen, method, OCCLUDED + what) for what in (GUIDE, *self.regions)}
        known = {what: value for what, value in without.items() if not math.isnan(value)}
        growth = {what: max(value - whole, 0.0) for what, value in known.items()}
        total = sum(growth.values())
        lines = [["all inputs", f"{whole:.2f}", "", ""]]
        for what, value in known.items():
            share = "–" if total == 0 else f"{100 * growth[what] / total:.1f} %"
            lines.append([f"without {what}", f"{value:.2f}", f"{value / whole:.2f}" if whole else "–", share])
        return Finding(
            "What hangs on which input",
            ["inputs", "RMSE [DN]", "times the RMSE with all", "share of all growth"],
            lines,
            ["PAN's detail: PAN replaced by its low-pass; a spectral region: its MS bands replaced by their means"],
        )

    def _draw(self, run_dir: Path, seen: list[Seen], metrics: Metrics, facts: RunFacts) -> list[Picture]:
        pictures = super()._draw(run_dir, seen, metrics, facts)
        if REDUCED not in metrics.sets:
            return pictures
        bands = [band.name for band in self.sensor.bands]
        rows = {name: row.title for name, row in metrics.sets[REDUCED].rows.items() if row.skipped is None}
        bars = {"reference": [_mean(seen, None, IDEAL + band) for band in bands]}
        bars |= {title: [_mean(seen, name, GAIN + band) for band in bands] for name, title in rows.items()}
        file = f"{FIGURES}/explain-gains.png"
        draw_bars(run_dir / file, bars, bands, "DN per DN of PAN's detail")
        return [*pictures, Picture(file, "", "", metrics.method, "plot", note="Injection gains per band")]


def injection_gains(scene: Scene, image: Tensor) -> list[float]:
    """Slope of (image - interpolated MS) on PAN's detail, per band, over valid pixels; 0 for a PAN without detail.

    Args:
        scene: with ``guide`` [1,1,H,W] and ``exp`` [1,B,H,W].
        image: [1,B,H,W], a fused image or the reference, in the same unit.
    """
    detail = (scene.guide - gaussian_low_pass(scene.guide, scene.ratio))[0, 0]
    added = (image - scene.exp)[0]
    valid = torch.ones_like(detail, dtype=torch.bool) if scene.valid is None else scene.valid[0, 0]
    x, y = detail[valid], added[:, valid]
    x, y = x - x.mean(), y - y.mean(1, keepdim=True)
    power = float(x @ x)
    return [0.0] * len(added) if power == 0 else (y @ x / power).tolist()


def _mean(seen: list[Seen], method: str | None, key: str) -> float:
    """Mean over the scenes of a value of a method's rows (None: of any method); NaN where there is none."""
    found = [
        row.values[key] for item in seen for row in item.rows if method in (None, row.method) and key in row.values
    ]
    return statistics.fmean(found) if found else math.nan
