"""The evaluator of spatiospectral fusion: pansharpening at reduced resolution (Wald) and at full resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import summary
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.indices import TITLES, Scene, described, measured
from fusionbench.evaluation.pictures import Painter, plain
from fusionbench.evaluation.plots import Spectrum, draw_spectra
from fusionbench.evaluation.scenewise import FIGURES, SceneEvaluator
from fusionbench.evaluation.schema import IndexInfo, Metrics, Picture, Shift
from fusionbench.evaluation.schema import Scene as SceneInfo
from fusionbench.imaging.interpolation import expand
from fusionbench.imaging.shift import estimate_shift
from fusionbench.metrics import functional as indices
from fusionbench.sensors import Sensor

SHIFT_WARNING = 0.25  # MS px


class SpatioSpectral(SceneEvaluator):
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
    titles = TITLES
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
        super().__init__(baselines=baselines, figures={"size": 384} | dict(figures or {}))
        self.sensor = Sensor.from_mapping(sensor)
        self.ratio, self.grid, self.border, self.clip = ratio, grid, border, clip
        self.gains = tuple(self.sensor.mtf_gains if gains is None else map(float, gains))
        if len(self.gains) != len(self.sensor.bands):
            raise ConfigError(
                f"evaluator.gains: {len(self.gains)} numbers, the sensor {self.sensor.name} has "
                f"{len(self.sensor.bands)} bands"
            )
        self._painter: Painter | None = None

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
        super().begin(test_sets, run_dir, method, kind)
        self._painter = Painter(run_dir / FIGURES, self.sensor, self.ratio, self.figures["size"])

    def _image(self, name: str, output: Tensor, scene: Scene) -> Tensor:
        size = (1, scene.lr.shape[1], *scene.guide.shape[-2:])
        if tuple(output.shape) != size:
            raise DataError(
                f"scene {name}: the method gave {list(output.shape)}, one scene of {list(size)} was expected"
            )
        return digital_numbers(output, scene.peak)

    def _call(self, method: torch.nn.Module, scene: Scene) -> Tensor:
        found: Tensor = method(scene.lr, scene.guide)
        return found

    def _device(self, scene: Scene) -> torch.device:
        return scene.lr.device

    def _treated(self, image: Tensor, scene: Scene) -> Tensor:
        return image.clamp(0, scene.peak + 1) if self.clip else image

    def _odd(self, image: Tensor | None, scene: Scene) -> list[str]:
        found = super()._odd(image, scene)
        if image is None:
            return found
        far = int(((image < -scene.peak) | (image > 2 * scene.peak)).sum())  # a handful of them can make an index
        if far:
            found.append(f"{far} of {image.numel():,} values lie outside of -1 to 2 times the largest digital number")
        return found

    def _info(self, scene: Scene) -> SceneInfo:
        return scene_info(scene, self._registration(scene))

    def _measured(self, set_name: str, scene: Scene, image: Tensor) -> tuple[dict[str, float], list[str]]:
        return measured(scene, image, self.border)

    def _scene(self, batch: Mapping[str, Any]) -> Scene:
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

    def _registration(self, scene: Scene) -> Shift:
        found = estimate_shift(scene.lr[0], scene.guide[0], self.ratio, self.grid)
        length = (found.dy**2 + found.dx**2) ** 0.5 / self.ratio
        return Shift(found.dy, found.dx, found.r2_before, found.r2_after, length > SHIFT_WARNING)

    def _painted(self, set_name: str, name: str, scene: Scene, images: Mapping[str, Tensor]) -> list[Picture]:
        assert self._painter is not None  # made in begin
        return self._painter.draw(set_name, name, scene, images)

    def _spectra(self, scene: Scene, images: Mapping[str, Tensor]) -> list[Spectrum]:
        assert self._painter is not None  # made in begin
        return self._painter.spectra(scene, images)

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        return described(len(self.sensor.bands), self.ratio, self.border, self.clip)

    def _options(self) -> dict[str, Any]:
        return {"border": self.border, "clip": self.clip}

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
        return [*pictures, *super()._draw(run_dir, seen, metrics, facts)]


def digital_numbers(x: Tensor, peak: float) -> Tensor:
    """Scaled values to digital numbers, float64; on the CPU where the device has no float64."""
    x = x.detach()
    return (x.cpu() if x.device.type == "mps" else x).double() * peak


def _share(valid: Tensor | None) -> float:
    return 1.0 if valid is None else float(valid.double().mean())


def scene_info(scene: Scene, shift: Shift | None) -> SceneInfo:
    """Size and fingerprint: mean and spread of what the method was given, which no other scene or treatment shares."""
    height, width = scene.guide.shape[-2:]
    numbers = [scene.lr.mean(), scene.lr.std(), scene.guide.mean(), scene.guide.std()]
    return SceneInfo(height, width, _share(scene.valid), [float(f"{float(n):.9g}") for n in numbers], shift)
