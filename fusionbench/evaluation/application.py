"""The evaluator ``application``: fused images scored by what they are used for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import tasks
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.indices import FULL, REDUCED, Scene, measured
from fusionbench.evaluation.scenewise import Fused
from fusionbench.evaluation.schema import IndexInfo, Metrics, SceneRow
from fusionbench.evaluation.spatiospectral import SpatioSpectral, digital_numbers, scene_info
from fusionbench.evaluation.summary import Method, Seen
from fusionbench.imaging.wald import degrade_ms
from fusionbench.metrics import functional as indices
from fusionbench.sensors import INDICES, index_bands

SETS = {REDUCED: "application", FULL: "application_full"}
TITLES = {"application": "Application, reduced resolution", "application_full": "Application, full resolution"}
REFERENCE = "reference"
FINER = 2  # scene pixels per PAN pixel of the simulated world


class Application(SpatioSpectral):
    """`SpatioSpectral`, and test sets ``application`` (reduced) and, for simulated data, ``application_full`` (truth).

    Their rows are the reference itself (the ceiling), interpolation (the floor), and all methods. NDVI and NDWI: RMSE
    against the reference's. RX: area under the curve for targets smaller than an MS pixel, put into the reference, the
    MS (degraded as the sensor would) and PAN (by the weights of the bands that explain it), which every method then
    fuses anew. Classification, simulated data only: a Gaussian maximum-likelihood classifier is trained on the
    reference of the training scenes and applied to fused test scenes, over pixels that one class fills.

    Args:
        simulated: whether the data are; only then classes and full resolution are known.
        truth: asks the data module for both; follows ``simulated``.
        seed: places of targets are drawn from (seed, scene).
        targets: ``count`` per scene, ``size`` in fine px, ``abundance``: their share of these pixels.
        classifier: ``purity``: share of a pixel that a class fills; ``samples``: training pixels per scene.
        options: of `SpatioSpectral`.

    Raises:
        ConfigError: targets that no MS pixel holds, or numbers that make no sense.
    """

    name = "application"
    version = 1

    def __init__(
        self,
        *,
        simulated: bool,
        truth: bool,
        seed: int = 0,
        targets: Mapping[str, float] | None = None,
        classifier: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.simulated, self.truth, self.seed = simulated, truth and simulated, seed
        self.targets = {"count": 40, "size": 2, "abundance": 1.0} | dict(targets or {})
        self.classifier = {"purity": 0.75, "samples": 20000} | dict(classifier or {})
        if not 1 <= self.targets["size"] < self.ratio:
            raise ConfigError(
                f"evaluator.targets.size={self.targets['size']}: 1 to {self.ratio - 1} px, below an MS pixel"
            )
        for where, value in (
            ("targets.abundance", self.targets["abundance"]),
            ("classifier.purity", self.classifier["purity"]),
        ):
            if not 0 < value <= 1:
                raise ConfigError(f"evaluator.{where}={value}: a share above 0, at most 1")
        self._centers = [band.center for band in self.sensor.bands]
        self._pairs = {name: pair for name in INDICES if (pair := _pair(name, self._centers)) is not None}
        self._fuse: Fuse | None = None
        self._data: Any = None
        self._classes: dict[str, Any] = {}
        self._trained: dict[str, tasks.GaussianClassifier] = {}

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: the method fuses scenes with targets; training scenes train the classifier."""
        self._fuse, self._data, self._classes, self._trained = fuse, datamodule, {}, {}

    def begin(self, test_sets: Sequence[str], run_dir: Any, method: str, kind: str = "network") -> None:
        """See `Evaluator.begin`."""
        super().begin(test_sets, run_dir, method, kind)
        self._sets += [SETS[name] for name in test_sets if name == REDUCED or (name == FULL and self.truth)]

    def _measured(self, set_name: str, scene: Scene, image: Tensor) -> tuple[dict[str, float], list[str]]:
        if set_name == FULL:
            return measured(replace(scene, target=None), image)
        return super()._measured(set_name, scene, image)

    def _further(self, set_name: str, batch: Mapping[str, Any], scene: Scene, products: Sequence[Fused]) -> list[Seen]:
        if scene.target is None:
            return []
        place, name = SETS[set_name], str(batch["scene"][0])
        valid = torch.ones_like(scene.guide, dtype=torch.bool) if scene.valid is None else scene.valid
        reference = Fused(REFERENCE, "reference", scene.target, None)
        images = {product.name: product for product in (reference, *products)}
        found: dict[str, dict[str, float]] = {
            key: self._errors(scene, product.image, valid)
            for key, product in images.items()
            if product.image is not None
        }
        for key, area in self._detection(set_name, batch, scene, valid[0, 0]).items():
            found[key]["RX_AUC"] = area
        notes: list[str] = []
        if self.truth:
            labels = self._labels(set_name, name, scene)
            counted = valid[0, 0].cpu() & torch.isin(labels, self._classifier(set_name).classes)
            for key, values in found.items():
                image = images[key].image
                assert image is not None
                guess = self._classifier(set_name).predict(image[0])
                values["OA"], values["kappa"] = tasks.agreement(guess[counted], labels[counted])
            if not bool(counted.any()):
                notes.append(f"{name}: no pixel is filled by one of the trained classes")
        info = replace(scene_info(scene, None), shift=None)
        rows = [
            SceneRow(place, name, key, images[key].kind, values, valid_share=info.valid_share)
            for key, values in found.items()
        ]
        skipped = {p.name: p.skipped for p in products if p.skipped is not None}
        return [Seen(place, name, info, rows, skipped, notes, [], [])]

    def _errors(self, scene: Scene, image: Tensor, valid: Tensor) -> dict[str, float]:
        assert scene.target is not None
        found = {}
        for name, pair in self._pairs.items():
            given, wanted = (tasks.normalised_difference(x[0], pair)[None, None] for x in (image, scene.target))
            found[f"{name}_RMSE"] = float(indices.rmse(wanted, given, valid=valid))
        return found

    # --- anomaly detection ---

    def _detection(self, set_name: str, batch: Mapping[str, Any], scene: Scene, valid: Tensor) -> dict[str, float]:
        """Area under the curve of RX for the reference and every method, on the scene with targets."""
        if self._fuse is None or scene.target is None:
            raise DataError("application runs the method again: prepare() must hand it over before begin()")
        target, peak = scene.target, scene.peak
        put = tasks.implant(
            target[0],
            valid,
            self._centers,
            self.ratio,
            int(self.targets["count"]),
            int(self.targets["size"]),
            f"{self.seed}/{batch['scene'][0]}",
        )
        share = float(self.targets["abundance"]) * put.targets.to(target.dtype)
        delta = share * (put.spectrum[None, :, None, None] - target)
        weights = tasks.band_weights(scene.guide[0, 0], target[0], valid)
        changed = {
            "target": target + delta,
            "guide": scene.guide + (weights[None, :, None, None] * delta).sum(1, keepdim=True),
            "lr": scene.lr + degrade_ms(delta, self.gains, self.ratio, self.grid),
        }
        given = dict(batch) | {role: (image / peak).to(batch["lr"]) for role, image in changed.items()}
        own = Fused(*self._method, digital_numbers(self._fuse(given), peak), None)
        products = [Fused(REFERENCE, "reference", changed["target"], None), own]
        products += self._compare(set_name, self._scene(given))
        return {
            product.name: tasks.area_under_curve(tasks.rx(product.image[0], valid), put.targets, put.background)
            for product in products
            if product.image is not None
        }

    # --- classification ---

    def _labels(self, set_name: str, name: str, scene: Scene) -> Tensor:
        if not self._classes:
            self._classes = {part.name: part.entry.array("classes") for part in self._data.parts("test")}
        return self._cover(self._classes[name], set_name, (scene.guide.shape[-2], scene.guide.shape[-1]))

    def _cover(self, classes: np.ndarray, set_name: str, size: tuple[int, int]) -> Tensor:
        block = FINER * self.ratio if set_name == REDUCED else FINER
        labels = torch.from_numpy(np.array(classes[0]))
        return tasks.land_cover(labels, block, size, float(self.classifier["purity"]))

    def _classifier(self, set_name: str) -> tasks.GaussianClassifier:
        """Trained on the reference of the training scenes: MS at reduced, the truth at full resolution."""
        if set_name not in self._trained:
            parts = self._data.parts("train")
            if not parts:
                raise DataError(
                    "evaluator=application: no training scenes to train the classifier on (data.simulation)"
                )
            samples, labels = [], []
            for part in parts:
                image = np.asarray(part.entry.array("ms" if set_name == REDUCED else "truth"), np.float64)
                cover = self._cover(part.entry.array("classes"), set_name, (image.shape[1], image.shape[2])).flatten()
                places = (cover >= 0).nonzero()[:, 0]
                places = places[:: max(len(places) // int(self.classifier["samples"]), 1)]
                samples.append(torch.from_numpy(image).flatten(1)[:, places].T)
                labels.append(cover[places])
            self._trained[set_name] = tasks.GaussianClassifier(torch.cat(samples), torch.cat(labels))
        return self._trained[set_name]

    # --- what is concluded ---

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        size, share = self.targets["size"], self.targets["abundance"]
        found = {
            f"{name}_RMSE": IndexInfo("min", "", 4, f"{name} (within -1 and 1) against the reference's")
            for name in self._pairs
        }
        found["RX_AUC"] = IndexInfo(
            "max",
            "",
            4,
            f"global RX, {size:g} x {size:g} px targets of abundance {share:g}, one MS pixel around left out",
        )
        if self.truth:
            what = f"Gaussian maximum likelihood, pixels filled to {100 * self.classifier['purity']:g} % by one class"
            found["OA"] = IndexInfo("max", "", 4, f"overall accuracy, {what}")
            found["kappa"] = IndexInfo("max", "", 4, "Cohen's, of the same")
        return super()._described() | dict.fromkeys(SETS.values(), found)

    def _further_rows(self) -> dict[str, Method]:
        return {REFERENCE: Method("Reference (ceiling)", "reference")}

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"targets": self.targets, "classifier": self.classifier, "seed": self.seed}

    def _concluded(self, metrics: Metrics, seen: list[Seen]) -> Metrics:
        sets = {}
        trained = [f"{name}_RMSE" for name in metrics.model.optimised]
        for name, found in metrics.sets.items():
            if name not in TITLES:
                rows = {key: row for key, row in found.rows.items() if key != REFERENCE}
                sets[name] = replace(found, rows=rows)
                continue
            notes = [note for note in found.notes if "missing pixels" not in note]
            if trained:
                title = metrics.model.name or metrics.method
                notes.append(f"{title} was trained on what scores it here: {', '.join(trained)} stood in its loss")
            sets[name] = replace(found, title=TITLES[name], notes=notes)
        return replace(metrics, sets=sets)


def _pair(name: str, centers: Sequence[float]) -> tuple[int, int] | None:
    """Bands of an index; None where the sensor has not got them: that index is then not computed."""
    try:
        return index_bands(name, centers)
    except ConfigError:
        return None
