"""The evaluator of hyperspectral fusion: many bands, inside and outside of what the guide sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import avg_pool2d

from fusionbench.errors import DataError
from fusionbench.evaluation import summary
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.pictures import error_pictures, plain, write_picture
from fusionbench.evaluation.plots import REFERENCE, Spectrum, draw_spectra
from fusionbench.evaluation.scenewise import FIGURES, SceneEvaluator
from fusionbench.evaluation.schema import IndexInfo, Metrics, Picture
from fusionbench.imaging.composite import composite, stretch_limits
from fusionbench.metrics import functional as indices
from fusionbench.sensors.record import BLUE, GREEN, RED

COVERED = 0.02  # of a guide band's largest response: a HS band that the guide sees
GAMMA = 1.4


class Hyperspectral(SceneEvaluator):
    """Indices with reference on the data's values, per scene, and the error inside and outside of the guide's bands.

    Args:
        ratio: fine px per coarse px, for ERGAS.
        data_range: largest value of the data (1 for reflectance), for PSNR and SSIM.
        q2n: also the hypercomplex index over all bands, which takes long for many.
        baselines, figures: see `SceneEvaluator`.
    """

    name = "hyperspectral"
    version = 1
    monitor = ("val/PSNR", "max")
    titles: Mapping[str, str] = {"test": "Reduced resolution"}

    def __init__(
        self,
        *,
        ratio: int,
        data_range: float = 1.0,
        q2n: bool = False,
        baselines: Mapping[str, Mapping[str, Any]] | None = None,
        figures: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(baselines=baselines, figures=figures)
        self.ratio, self.data_range, self.q2n = ratio, data_range, q2n

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """Mean PSNR over bands, SAM and ERGAS of each image of a validation batch."""
        target, fused = batch["target"].double(), output.detach().double()
        return {
            "PSNR": indices.psnr(target, fused, data_range=self.data_range, mode="band").tolist(),
            "SAM": indices.sam(target, fused).tolist(),
            "ERGAS": indices.ergas(target, fused, ratio=self.ratio).tolist(),
        }

    def _image(self, name: str, output: Tensor, scene: Mapping[str, Any]) -> Tensor:
        if output.shape != scene["target"].shape:
            raise DataError(
                f"scene {name}: the method gave {list(output.shape)}, {list(scene['target'].shape)} was expected"
            )
        return output.detach().double()

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        found = {
            "PSNR": IndexInfo("max", "dB", 2, f"mean over bands, peak {self.data_range:g}"),
            "SSIM": IndexInfo("max", "", 4, f"Gaussian window 11x11, sigma 1.5, range {self.data_range:g}"),
            "SAM": IndexInfo("min", "°", 3, "mean angle over pixels"),
            "ERGAS": IndexInfo("min", "", 3, f"100/{self.ratio} times the relative RMSE; very dark bands left out"),
            "UIQI": IndexInfo("max", "", 4, "window 32x32, stride 1, mean over bands"),
            "RMSE": IndexInfo("min", "", 5, "over all pixels and bands"),
            "RMSE_inside": IndexInfo("min", "", 5, "over the HS bands that the guide sees"),
            "RMSE_outside": IndexInfo("min", "", 5, "over the HS bands that the guide does not see"),
        }
        if self.q2n:
            found["Q2n"] = IndexInfo("max", "", 4, "hypercomplex, blocks of 32 px, on values times 10000")
        return {"test": found}

    def _measured(self, set_name: str, scene: Mapping[str, Any], image: Tensor) -> tuple[dict[str, float], list[str]]:
        target, values, missing = scene["target"].double(), {}, []
        known: dict[str, Any] = {
            "PSNR": lambda: indices.psnr(target, image, data_range=self.data_range, mode="band"),
            "SSIM": lambda: indices.ssim(target, image, data_range=self.data_range),
            "SAM": lambda: indices.sam(target, image),
            "ERGAS": lambda: indices.ergas(target, image, ratio=self.ratio, dim_band=1e-3),
            "UIQI": lambda: indices.uiqi(target, image, block=32),
            "RMSE": lambda: indices.rmse(target, image),
        }
        if self.q2n:
            known["Q2n"] = lambda: indices.q2n(1e4 * target, 1e4 * image, block=32)
        for name, index in known.items():
            try:
                values[name] = float(index())
            except DataError as error:
                values[name] = math.nan
                missing.append(f"{name}: {error}")
        seen = covered(scene["srf"][0])
        squares = (image - target)[0].square().mean((-2, -1))
        for name, bands in (("RMSE_inside", seen), ("RMSE_outside", ~seen)):
            values[name] = float(squares[bands].mean().sqrt()) if bool(bands.any()) else math.nan
        return values, missing

    def _options(self) -> dict[str, Any]:
        return {"data_range": self.data_range, "q2n": self.q2n}

    def _painted(
        self, set_name: str, name: str, scene: Mapping[str, Any], images: Mapping[str, Tensor]
    ) -> list[Picture]:
        assert self._folder is not None  # made in begin
        target, centers = scene["target"][0].double(), scene["wavelengths"][0]
        bands = [int((centers - wanted).abs().argmin()) for wanted in (RED, GREEN, BLUE)]
        limits = stretch_limits(target[bands])
        stem = f"{set_name}-{plain(name)}"
        found = []
        for method, image in ({REFERENCE: scene["target"]} | dict(images)).items():
            picture = composite(image[0].double(), bands, limits, GAMMA)
            path = self._folder / f"{stem}-{plain(method)}.png"
            found.append(write_picture(path, set_name, name, method, "composite", picture, limits.flatten().tolist()))
        return found + error_pictures(self._folder, stem, set_name, name, target, {k: v[0] for k, v in images.items()})

    def _spectra(self, scene: Mapping[str, Any], images: Mapping[str, Tensor]) -> list[Spectrum]:
        shown = {k: avg_pool2d(v, 3, 1)[0] for k, v in ({REFERENCE: scene["target"]} | dict(images)).items()}
        brightness = shown[REFERENCE].mean(0)
        order = brightness.flatten().argsort()
        found = []
        for place, quantile in (("dark", 0.05), ("middling", 0.5), ("bright", 0.95)):
            pixel = int(order[round((len(order) - 1) * quantile)])
            row, column = divmod(pixel, brightness.shape[1])
            values = {k: v[:, row, column].tolist() for k, v in shown.items()}
            found.append(Spectrum(place, row + 1, column + 1, values))
        self._centers = scene["wavelengths"][0].tolist()
        return found

    def _draw(self, run_dir: Path, seen: list[summary.Seen], metrics: Metrics, facts: RunFacts) -> list[Picture]:
        """Spectra of the scenes whose composites are kept, and the learning curves."""
        titles = {name: row.title for found in metrics.sets.values() for name, row in found.rows.items()}
        pictures = []
        for item in summary.in_order(seen, self._sets):
            if item.spectra:
                file = f"{FIGURES}/{item.set}-{plain(item.scene)}-spectra.png"
                draw_spectra(run_dir / file, item.spectra, self._centers, titles, metrics.method, "value")
                pictures.append(Picture(file, item.set, item.scene, metrics.method, "spectra"))
        return [*pictures, *super()._draw(run_dir, seen, metrics, facts)]


def covered(srf: Tensor) -> Tensor:
    """HS bands [B] bool that a response [b,B] sees."""
    return (srf > COVERED * srf.amax(1, keepdim=True)).any(0) & (srf.amax(0) > 0)
