"""The evaluator of spatiospectral fusion: pansharpening at reduced resolution (Wald) and at full resolution."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError, UserError
from fusionbench.evaluation import summary
from fusionbench.evaluation.base import Evaluator, gather
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.indices import Scene, described, measured
from fusionbench.evaluation.pictures import Painter, plain
from fusionbench.evaluation.plots import draw_curves, draw_spectra, read_log
from fusionbench.evaluation.report import write_report
from fusionbench.evaluation.schema import (
    EvaluatorInfo,
    IndexInfo,
    Metrics,
    Picture,
    SceneRow,
    Shift,
    write_metrics,
    write_scenes,
)
from fusionbench.evaluation.schema import Scene as SceneInfo
from fusionbench.imaging.interpolation import expand
from fusionbench.imaging.shift import estimate_shift
from fusionbench.metrics import functional as indices
from fusionbench.sensors import Sensor

FIGURES = "figures"
SHIFT_WARNING = 0.25  # MS px


@dataclass(frozen=True)
class Comparison:
    """A method without training that is run on the same scenes.

    Args:
        title: as printed.
        kind: ``classical`` or ``interpolation``.
        method: module with ``forward(lr, guide)``.
    """

    title: str
    kind: str
    method: torch.nn.Module


@dataclass
class Fused:
    """What one method made of a scene: [1,B,H,W] in digital numbers, or why there is nothing."""

    name: str
    kind: str
    image: Tensor | None
    seconds: float | None
    skipped: str | None = None


class SpatioSpectral(Evaluator):
    """Indices with reference at reduced resolution, without reference at full resolution, per scene.

    Every scene is also fused by the comparison rows (interpolation and classical methods, with the gains of the data),
    and its registration is estimated. Indices are computed in digital numbers, in float64, over valid pixels.

    Args:
        sensor: record of the sensor (bands, gains).
        ratio: PAN px per MS px.
        grid: ``area`` or ``dlpan``.
        gains: MTF gains at Nyquist, one per band; null: the sensor's.
        baselines: id -> ``{title, kind, method}``; ``method`` is a module with ``forward(lr, guide)``.
        border: cut before indices with reference: pixels, or ``dlpan`` (20 at top and left, 21 at bottom and right).
        clip: clamp fused images to [0, 2^bits] before any index, as the toolbox can.
        figures: ``scenes`` drawn per test set and ``size`` of their centre in target px.

    Raises:
        ConfigError: gains or baselines that cannot be used.
    """

    name = "spatiospectral"
    version = 1
    monitor = ("val/ERGAS", "min")

    def __init__(
        self,
        *,
        sensor: Mapping[str, Any],
        ratio: int,
        grid: str,
        gains: Sequence[float] | None = None,
        baselines: Mapping[str, Mapping[str, Any]] | None = None,
        border: int | str = 0,
        clip: bool = False,
        figures: Mapping[str, int] | None = None,
    ) -> None:
        self.sensor = Sensor.from_mapping(sensor)
        self.ratio, self.grid, self.border, self.clip = ratio, grid, border, clip
        self.gains = tuple(self.sensor.mtf_gains if gains is None else map(float, gains))
        if len(self.gains) != len(self.sensor.bands):
            raise ConfigError(
                f"evaluator.gains: {len(self.gains)} numbers, the sensor {self.sensor.name} has "
                f"{len(self.sensor.bands)} bands"
            )
        self.baselines = {key: _comparison(key, value) for key, value in (baselines or {}).items()}
        self.figures = {"scenes": 2, "size": 384} | dict(figures or {})
        self._seen: list[summary.Seen] = []
        self._painter: Painter | None = None
        self._method = ("", "network")
        self._sets: list[str] = []
        self._warm: set[str] = set()

    # --- validation ---

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """ERGAS, SAM and PSNR of each image of a validation batch."""
        peak = (2.0 ** batch["bits"].double() - 1).reshape(-1, 1, 1, 1)
        target, fused = batch["target"].double() * peak, output.detach().double() * peak
        pair, options = (target, fused), {"valid": batch.get("valid")}
        return {
            "ERGAS": indices.ergas(*pair, ratio=self.ratio, **options).tolist(),
            "SAM": indices.sam(*pair, **options).tolist(),
            "PSNR": indices.psnr(*pair, data_range=peak.flatten(), **options).tolist(),
        }

    # --- test ---

    def begin(self, test_sets: Sequence[str], run_dir: Path, method: str, kind: str = "network") -> None:
        """See `Evaluator.begin`."""
        self._seen, self._sets, self._method = [], list(test_sets), (method, kind)
        self._painter = Painter(run_dir / FIGURES, self.sensor, self.ratio, **self.figures)
        self._warm = set()

    @torch.no_grad()
    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None:
        """See `Evaluator.observe`.

        Raises:
            DataError: more than one scene in the batch, or an output of another size.
        """
        if self._painter is None or set_name not in self._sets:
            raise DataError(f"test set {set_name!r} was not announced; begin() named {', '.join(self._sets) or 'none'}")
        name, scene = str(batch["scene"][0]), self._scene(batch)
        size = (1, scene.lr.shape[1], *scene.guide.shape[-2:])
        if tuple(output.shape) != size:
            raise DataError(
                f"scene {name}: the method gave {list(output.shape)}, one scene of {list(size)} was expected"
            )
        own = Fused(*self._method, digital_numbers(output, scene.peak), seconds)
        products = [own, *self._compare(set_name, scene)]
        shift = self._registration(scene)
        notes = [f"{name}, {product.name}: {text}" for product in products for text in _odd(product.image, scene.peak)]
        if self.clip:
            products = [
                replace(p, image=None if p.image is None else p.image.clamp(0, scene.peak + 1)) for p in products
            ]
        images = {product.name: product.image for product in products if product.image is not None}
        rows = []
        for product in products:
            if product.image is None:
                continue
            values, missing = self._measured(set_name, scene, product.image)
            notes += [f"{name}, {product.name}: {text}" for text in missing]
            rows.append(_row(set_name, name, product, values, shift, scene.valid))
        pictures = self._painter.draw(set_name, name, scene, images)
        self._seen.append(
            summary.Seen(
                set=set_name,
                scene=name,
                info=scene_info(scene, shift),
                rows=rows,
                skipped={product.name: product.skipped for product in products if product.skipped is not None},
                notes=notes,
                pictures=pictures,
                spectra=self._painter.spectra(scene, images) if pictures else [],
            )
        )
        self._seen += self._further(set_name, batch, scene, products)

    def _measured(self, set_name: str, scene: Scene, image: Tensor) -> tuple[dict[str, float], list[str]]:
        """Every index of one product, and why values are missing."""
        return measured(scene, image, self.border)

    def _further(
        self, set_name: str, batch: Mapping[str, Any], scene: Scene, products: Sequence[Fused]
    ) -> list[summary.Seen]:
        """What else an evaluator sees of a scene: items of further test sets; here none."""
        return []

    def _scene(self, batch: Mapping[str, Any]) -> Scene:
        if batch["lr"].shape[0] != 1:
            raise DataError(f"a test batch holds one scene, got {batch['lr'].shape[0]}")
        bits = int(batch["bits"][0])
        peak = float(2**bits - 1)
        lr, valid = digital_numbers(batch["lr"], peak), batch.get("valid")
        if valid is not None:
            valid = valid.to(lr.device)
        return Scene(
            lr=lr,
            guide=digital_numbers(batch["guide"], peak),
            exp=expand(lr, self.ratio, self.grid),
            target=digital_numbers(batch["target"], peak) if "target" in batch else None,
            valid=None if valid is None or bool(valid.all()) else valid,
            bits=bits,
            ratio=self.ratio,
            grid=self.grid,
            gains=self.gains,
        )

    def _compare(self, set_name: str, scene: Scene) -> list[Fused]:
        """The comparison rows on one scene; one that cannot take it says why and stops no other."""
        found = []
        for name, row in self.baselines.items():
            if name == self._method[0]:
                continue
            method = row.method.to(scene.lr.device).eval()
            try:
                if set_name not in self._warm:  # as for the method under test: the first call also allocates
                    method(scene.lr, scene.guide)
                start = _clock(scene.lr.device)
                image = method(scene.lr, scene.guide)
            except UserError as error:
                found.append(Fused(name, row.kind, None, None, str(error)))
                continue
            found.append(Fused(name, row.kind, image, _clock(scene.lr.device) - start))
        self._warm.add(set_name)
        return found

    def _registration(self, scene: Scene) -> Shift:
        found = estimate_shift(scene.lr[0], scene.guide[0], self.ratio, self.grid)
        length = (found.dy**2 + found.dx**2) ** 0.5 / self.ratio
        return Shift(found.dy, found.dx, found.r2_before, found.r2_after, length > SHIFT_WARNING)

    def finish(self, run_dir: Path, facts: RunFacts) -> Metrics | None:
        """See `Evaluator.finish`."""
        seen = gather(self._seen)
        if seen is None:
            return None
        if not seen:
            raise DataError("no test scene was observed: the data set has no test scenes")
        titles = {key: value.title for key, value in self.baselines.items()}
        kinds = {key: value.kind for key, value in self.baselines.items()}
        method, kind = self._method
        titles[method], kinds[method] = facts.model.name or method, kind
        ids = [key for key in self.baselines if key != method] + [method]
        pages = summary.Protocol(
            EvaluatorInfo(self.name, self.version, self._options()),
            self._sets,
            self._described(),
            self._further_rows() | {key: summary.Method(titles[key], kinds[key]) for key in ids},
            method,
        )
        metrics = summary.summarised(seen, pages, facts, self.figures["scenes"])
        metrics = self._concluded(metrics, summary.in_order(seen, self._sets))
        extra = self._draw(run_dir, seen, metrics, facts)
        metrics = replace(metrics, pictures=metrics.pictures + extra)
        write_scenes(run_dir, summary.scene_rows(seen, pages))
        write_metrics(run_dir, metrics)
        write_report(run_dir, metrics, facts)
        return metrics

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        """Test set -> index -> what it is."""
        return described(len(self.sensor.bands), self.ratio, self.border, self.clip)

    def _further_rows(self) -> dict[str, summary.Method]:
        """Rows that are no method; here none."""
        return {}

    def _options(self) -> dict[str, Any]:
        """What changes the scores."""
        return {"border": self.border, "clip": self.clip}

    def _concluded(self, metrics: Metrics, seen: list[summary.Seen]) -> Metrics:
        """The record with what an evaluator concludes from all scenes; here nothing is added."""
        return metrics

    def _draw(self, run_dir: Path, seen: list[summary.Seen], metrics: Metrics, facts: RunFacts) -> list[Picture]:
        """Spectra of the scenes whose composites are kept, and the learning curves."""
        titles = {name: row.title for found in metrics.sets.values() for name, row in found.rows.items()}
        centers = [band.center for band in self.sensor.bands]
        kept = {(picture.set, picture.scene) for picture in metrics.pictures}
        pictures = []
        for item in summary.in_order(seen, self._sets):
            if item.spectra and (item.set, item.scene) in kept:
                file = f"{FIGURES}/{item.set}-{plain(item.scene)}-spectra.png"
                draw_spectra(run_dir / file, item.spectra, centers, titles, metrics.method)
                pictures.append(Picture(file, item.set, item.scene, metrics.method, "spectra"))
        curves = read_log(facts.log) if facts.log is not None and facts.log.is_file() else {}
        if draw_curves(run_dir / FIGURES / "curves.png", curves):
            pictures.append(Picture(f"{FIGURES}/curves.png", "", "", metrics.method, "curves"))
        return pictures


def _comparison(name: str, node: Mapping[str, Any]) -> Comparison:
    known = set(Comparison.__dataclass_fields__)
    if set(node) != known:
        raise ConfigError(f"evaluator.baselines.{name}: it takes {', '.join(sorted(known))}, got {', '.join(node)}")
    if node["kind"] not in ("classical", "interpolation"):
        raise ConfigError(f"evaluator.baselines.{name}.kind={node['kind']}: classical or interpolation")
    return Comparison(**node)


def digital_numbers(x: Tensor, peak: float) -> Tensor:
    """Scaled values to digital numbers, float64; on the CPU where the device has no float64."""
    x = x.detach()
    return (x.cpu() if x.device.type == "mps" else x).double() * peak


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _share(valid: Tensor | None) -> float:
    return 1.0 if valid is None else float(valid.double().mean())


def scene_info(scene: Scene, shift: Shift | None) -> SceneInfo:
    """Size and fingerprint: mean and spread of what the method was given, which no other scene or treatment shares."""
    height, width = scene.guide.shape[-2:]
    numbers = [scene.lr.mean(), scene.lr.std(), scene.guide.mean(), scene.guide.std()]
    return SceneInfo(height, width, _share(scene.valid), [float(f"{float(n):.9g}") for n in numbers], shift)


def _odd(image: Tensor | None, peak: float) -> list[str]:
    """What a reader must know of values that no sensor measures: a handful of them can make an index."""
    if image is None:
        return []
    found = []
    infinite = int((~torch.isfinite(image)).sum())
    far = int(((image < -peak) | (image > 2 * peak)).sum())
    if infinite:
        found.append(f"{infinite} values are not finite")
    if far:
        found.append(f"{far} of {image.numel():,} values lie outside of -1 to 2 times the largest digital number")
    return found


def _row(
    set_name: str, scene: str, product: Fused, values: dict[str, float], shift: Shift, valid: Tensor | None
) -> SceneRow:
    return SceneRow(
        set_name,
        scene,
        product.name,
        product.kind,
        values,
        shift_dy=shift.dy,
        shift_dx=shift.dx,
        r2_before=shift.r2_before,
        r2_after=shift.r2_after,
        valid_share=_share(valid),
        seconds=product.seconds,
    )
