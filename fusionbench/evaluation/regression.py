"""The evaluator ``regression``: maps of numbers against a reference, in their unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import maps
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.pictures import plain, write_picture
from fusionbench.evaluation.plots import ERROR_COLOURS
from fusionbench.evaluation.scenewise import Comparison, SceneEvaluator
from fusionbench.evaluation.schema import IndexInfo, Picture
from fusionbench.metrics.functional import (
    bias,
    mean_absolute_error,
    pearson_r2,
    r2,
    root_mean_square_error,
)

TRUTH = "reference"
COLOURS = "viridis"
INDICES: Mapping[str, tuple[str, bool, str]] = {  # direction, in the target's unit, what it is
    "RMSE": ("min", True, "root mean square error over the pixels of a scene"),
    "MAE": ("min", True, "mean absolute error"),
    "bias": ("min", True, "size of the mean of predicted minus true"),
    "R2": ("max", False, "1 - SSE / SST, below 0 where the scene's mean would do better"),
    "pearson_r2": ("max", False, "squared correlation, blind to bias and gain"),
}


class Regression(SceneEvaluator):
    """RMSE, MAE, bias, R2 and squared correlation of each test scene.

    Rows to compare with are fitted to training pixels: their mean, and a linear regression and a random forest on each
    modality and on all of them.

    Args:
        modalities: role -> how it is called in titles.
        unit: of the target.
        offset, scale: of the target, as the data card has them.
        digits: printed of errors.
        most: training pixels that the rows are fitted to.
        references: kinds of `PixelRegression`, -> titles.
        seed: of the forest.
        options: of `SceneEvaluator`.

    Raises:
        ConfigError: a scale of 0.
    """

    name = "regression"
    version = 1
    monitor = ("val/RMSE", "min")

    def __init__(
        self,
        *,
        modalities: Mapping[str, str],
        unit: str,
        offset: float = 0.0,
        scale: float = 1.0,
        digits: int = 2,
        most: int = 6000,
        references: Mapping[str, str] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if scale == 0:
            raise ConfigError("evaluator.scale=0: values are divided by it")
        self.modalities, self.unit, self.digits, self.most = dict(modalities), unit, digits, most
        self.offset, self.scale = float(offset), float(scale)
        self.baselines |= _rows(references or {}, self.modalities, seed)

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: rows are fitted to training pixels."""
        rows = [row for row in self.baselines.values() if hasattr(row.method, "fit")]
        if rows:
            samples, values = datamodule.training_pixels(self.most)
            for row in rows:
                row.method.fit(samples, values)  # type: ignore[operator]

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """RMSE of each image in the target's unit; see `Evaluator.score`."""
        pairs = zip(output, batch["target"], strict=True)
        return {"RMSE": [root_mean_square_error(self._back(y), self._back(x)) for y, x in pairs]}

    def _back(self, values: Tensor) -> Tensor:
        return values.double() * self.scale + self.offset

    def _image(self, name: str, output: Tensor, scene: Any) -> Tensor:
        if output.shape != scene["target"].shape:
            raise DataError(f"{name}: {tuple(output.shape)} for a target of {tuple(scene['target'].shape)}")
        return self._back(output.detach())

    def _call(self, method: nn.Module, scene: Any) -> Tensor:
        found: Tensor = method(**{role: scene[role] for role in self.modalities})
        return self._image("", found, scene)

    def _measured(self, set_name: str, scene: Any, image: Tensor) -> tuple[dict[str, float], list[str]]:
        truth = self._back(scene["target"])
        if "valid" in scene:
            truth = truth.masked_fill(~scene["valid"], torch.nan)
        found = {
            "RMSE": root_mean_square_error(image, truth),
            "MAE": mean_absolute_error(image, truth),
            "bias": abs(bias(image, truth)),
            "R2": r2(image, truth),
            "pearson_r2": pearson_r2(image, truth),
        }
        missing = [f"{key} does not exist: one side is constant" for key, value in found.items() if value != value]
        return found | {"signed_bias": bias(image, truth)}, missing

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        indices = {
            key: IndexInfo(direction, self.unit if in_unit else "", self.digits if in_unit else 3, text)
            for key, (direction, in_unit, text) in INDICES.items()
        }
        return dict.fromkeys(self._sets, indices)

    def _options(self) -> dict[str, Any]:
        return {"unit": self.unit}

    def _painted(self, set_name: str, name: str, scene: Any, images: Mapping[str, Tensor]) -> list[Picture]:
        if self._folder is None:
            return []
        written = []
        for role, title in self.modalities.items():
            path = self._folder / f"{plain(f'{set_name}-{name}-{role}')}.png"
            written.append(write_picture(path, set_name, name, title, "map", maps.view(scene[role][0])))
        truth = self._back(scene["target"])[0, 0]
        low, high = float(truth.min()), float(truth.max())
        span = max(high - low, 1e-12)
        note = f"{COLOURS}: {low:.{self.digits}f} to {high:.{self.digits}f} {self.unit} in all maps of the target."
        for key, image in {TRUTH: truth[None, None], **images}.items():
            path = self._folder / f"{plain(f'{set_name}-{name}-{key}')}.png"
            picture = _coloured((image[0, 0] - low) / span, COLOURS)
            written.append(write_picture(path, set_name, name, key, "map", picture, [low, high], note))
        errors = {key: (image[0, 0] - truth).abs() for key, image in images.items()}
        top = max(float(error.quantile(0.99)) for error in errors.values()) or 1.0
        for key, error in errors.items():
            path = self._folder / f"{plain(f'{set_name}-{name}-{key}')}-error.png"
            picture = _coloured(error / top, ERROR_COLOURS)
            written.append(write_picture(path, set_name, name, key, "error", picture, [0.0, top]))
        return written


def _coloured(shares: Tensor, colours: str) -> Tensor:
    """Shares 0..1 [H,W] as a picture [H,W,3] uint8."""
    from matplotlib import colormaps

    values = torch.nan_to_num(shares, nan=1.0).clamp(0, 1).cpu().numpy()
    return torch.from_numpy(colormaps[colours](values, bytes=True)[..., :3].copy())


def _rows(references: Mapping[str, str], modalities: Mapping[str, str], seed: int) -> dict[str, Comparison]:
    from fusionbench.classical.regression import PixelRegression

    sets: dict[str, tuple[Sequence[str], str]] = {role: ([role], title) for role, title in modalities.items()}
    if len(sets) > 1:
        sets["stack"] = (list(modalities), "stack")
    found = {}
    for kind, title in references.items():
        for suffix, (roles, called) in sets.items() if kind != "mean" else [("", (list(modalities), ""))]:
            name = f"{kind}_{suffix}" if suffix else kind
            row = PixelRegression(kind, roles, seed)
            found[name] = Comparison(f"{title}, {called}" if called else title, "classical", row)
    return found
