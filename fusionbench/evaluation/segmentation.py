"""The evaluator ``segmentation``: masks of a target, such as buildings or what changed, from counts over all pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fusionbench.errors import DataError, UserError
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.classification import PERCENT, Classification
from fusionbench.evaluation.schema import IndexInfo, Scene, SceneRow
from fusionbench.metrics.functional import confusion_matrix

SCORES = {
    "IoU": "TP / (TP + FP + FN) of the target, over all pixels of the set",
    "F1": "2 TP / (2 TP + FP + FN) of the target, over all pixels of the set",
    "precision": "of the target, over all pixels of the set",
    "recall": "of the target, over all pixels of the set",
    "OA": "share of pixels that are right",
    "IoU_image": "IoU of each scene, averaged over scenes",
}
POOLED = ("IoU", "F1", "precision", "recall", "OA")


def of_target(counts: Tensor) -> dict[str, float]:
    """IoU, F1, precision, recall of class 1 and OA, in percent, from a confusion matrix [2,2]; 0 for empty sums."""
    (negative, false), (missed, hit) = counts.double().tolist()

    def share(part: float, whole: float) -> float:
        return PERCENT * part / whole if whole else 0.0

    return {
        "IoU": share(hit, hit + false + missed),
        "F1": share(2 * hit, 2 * hit + false + missed),
        "precision": share(hit, hit + false),
        "recall": share(hit, hit + missed),
        "OA": share(hit + negative, hit + negative + false + missed),
    }


class Segmentation(Classification):
    """IoU, F1, precision, recall of a target and OA, from counts summed over all test scenes; IoU per scene beside.

    Outputs are logits [1,2,H,W] (background, target) or [1,1,H,W] (above 0: target). Reference classifiers see single
    pixels of each modality and of all of them.

    Args:
        most: training pixels that reference classifiers are fitted to.
        options: of `Classification`; two classes.
    """

    name = "segmentation"
    version = 1
    monitor = ("val/IoU", "max")
    titles: Mapping[str, str] = {"test": "Test scenes"}

    def __init__(self, *, most: int = 6000, **options: Any) -> None:
        super().__init__(**options)
        if len(self.classes) != 2:
            raise DataError(f"evaluator=segmentation: two classes, background and target, got {self.classes}")
        self.most = most

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: reference classifiers are fitted to training pixels."""
        self._data, self._fuse, self._regime = datamodule, fuse, getattr(fuse, "__self__", None)
        rows = [row for row in self.baselines.values() if hasattr(row.method, "fit")]
        if not rows:
            return
        samples, labels = datamodule.training_pixels(self.most)
        for row in rows:
            try:
                row.method.fit(samples, labels)  # type: ignore[operator]
            except UserError as error:
                raise DataError(f"{row.title}: {error}") from error

    def _guess(self, output: Tensor) -> Tensor:
        return output.argmax(1) if output.shape[1] == 2 else (output[:, 0] > 0).long()

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """IoU and F1 (percent) of each scene; see `Evaluator.score`."""
        found = [
            of_target(confusion_matrix(truth, guess, 2))
            for truth, guess in zip(batch["target"], self._guess(output), strict=True)
        ]
        return {key: [values[key] for values in found] for key in ("IoU", "F1")}

    def _call(self, method: nn.Module, scene: Any) -> Tensor:
        found: Tensor = method(**{role: scene[role] for role in self.modalities})
        return self._image("", found, scene)

    def _image(self, name: str, output: Tensor, scene: Any) -> Tensor:
        """0 or 1 [1,H,W]."""
        if output.ndim != 4 or output.shape[1] not in (1, 2) or output.shape[-2:] != scene["target"].shape[-2:]:
            raise DataError(f"{name}: logits {tuple(output.shape)} for a mask of {tuple(scene['target'].shape)}")
        return self._guess(output.detach())

    def _measured(self, set_name: str, scene: Any, image: Tensor) -> tuple[dict[str, float], list[str]]:
        counts = confusion_matrix(scene["target"].flatten(), image.flatten(), 2)
        found = of_target(counts)
        entries = {f"K_{i}_{j}": float(counts[i, j]) for i in range(2) for j in range(2)}
        return found | {"IoU_image": found["IoU"]} | entries, []

    def _pooled(self, set_name: str, rows: Sequence[SceneRow]) -> dict[str, float]:
        counts = self._counts(rows, rows[0].method)
        return {} if counts is None else {key: of_target(counts)[key] for key in POOLED}

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        scores = {key: IndexInfo("max", "%", 2, text) for key, text in SCORES.items()}
        return dict.fromkeys(self._sets, scores)

    def _info(self, scene: Any) -> Scene:
        target = scene["target"].double()
        inputs = [scene[role].double() for role in self.modalities]
        numbers = [float(x) for one in (target, *inputs) for x in (one.mean(), one.std(correction=0))]
        return Scene(target.shape[-2], target.shape[-1], 1.0, [float(f"{x:.9g}") for x in numbers])
