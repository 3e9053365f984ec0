"""The evaluator ``places``: land use of places of a city, one scene a town or a district."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import DataError, UserError
from fusionbench.evaluation import maps
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.classification import LAST, PERCENT, TRUTH, Classification
from fusionbench.evaluation.pictures import plain, write_picture
from fusionbench.evaluation.schema import IndexInfo, Picture, Scene
from fusionbench.metrics.functional import shares_error

SHARES = "shares"
GRID = 200  # rows or columns up to which positions are those of a grid of blocks
SIDE = 240  # px, of pictures at least


class PlaceClassification(Classification):
    """`Classification` of places that have no raster: images, series and POI maps [n,...], one class each.

    Where the truth holds shares of mixed blocks (``mixture`` [n,K]), the class probabilities are scored as shares too.
    Reference classifiers see a series as it is, and mean and deviation of every band of an image or a POI map.

    Args:
        options: of `Classification`.
    """

    name = "places"
    version = 1
    titles: Mapping[str, str] = {"test": "Test places"}

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """OA and AA (percent) of the one scene that a batch is; see `Evaluator.score`."""
        found = self._accuracies(batch["target"], output.argmax(1))
        return {"OA": [PERCENT * found.overall], "AA": [PERCENT * found.average]}

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: reference classifiers are fitted to the training places."""
        self._data, self._fuse, self._regime = datamodule, fuse, getattr(fuse, "__self__", None)
        rows = [row for row in self.baselines.values() if hasattr(row.method, "fit")]
        if not rows:
            return
        places, labels = datamodule.training_places()
        samples = self._features(places)
        for row in rows:
            try:
                row.method.fit(samples, labels)  # type: ignore[operator]
            except UserError as error:
                raise DataError(f"{row.title}: {error}") from error

    def _features(self, places: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Numbers [n,B] of each modality."""
        found = {}
        for role in self.modalities:
            x = places[role]
            found[role] = x if x.ndim == 2 else torch.cat([x.mean((-2, -1)), x.std((-2, -1), correction=0)], dim=1)
        return found

    def _call(self, method: nn.Module, scene: Any) -> Tensor:
        rasters = {role: x.T[None, :, :, None] for role, x in self._features(scene).items()}
        scores: Tensor = method(**rasters)
        return scores[0, :, :, 0].T

    def _image(self, name: str, output: Tensor, scene: Any) -> Tensor:
        """Class probabilities [n,K]."""
        size = (len(scene["target"]), len(self.classes))
        if tuple(output.shape) != size:
            raise DataError(f"{name}: scores {tuple(output.shape)} for {size[0]} places and {size[1]} classes")
        return output.detach().double().softmax(dim=1)

    def _measured(self, set_name: str, scene: Any, image: Tensor) -> tuple[dict[str, float], list[str]]:
        values, missing = super()._measured(set_name, scene, image.argmax(1))
        if "mixture" in scene:
            values[SHARES] = PERCENT * shares_error(image, scene["mixture"].double())
        return values, missing

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        described = super()._described()
        if self._data is None or not self._data.mixed:
            return described
        shares = IndexInfo("min", "%", 2, "share of a block that is given to the wrong use, from class probabilities")
        return {name: {**indices, SHARES: shares} for name, indices in described.items()}

    def _info(self, scene: Any) -> Scene:
        labels = scene["target"]
        counts = torch.bincount(labels[labels >= 0], minlength=len(self.classes)).tolist()
        order = float((labels.double() * torch.arange(1, len(labels) + 1, device=labels.device)).mean())
        sums = [float(scene[role].double().mean()) for role in self.modalities]
        return Scene(len(labels), 1, 1.0, [float(f"{x:.9g}") for x in (*counts, order, *sums)])

    def _painted(self, set_name: str, name: str, scene: Any, images: Mapping[str, Tensor]) -> list[Picture]:
        if self._folder is None or "position" not in scene:
            return []
        position = scene["position"].double().cpu()
        written = []
        note = "Classes: " + ", ".join(self.classes) + ". Colours in the legend above; black: no place."
        if "image" in scene and _gridded(position):
            path = self._folder / f"{plain(f'{set_name}-{name}-image')}.png"
            view = maps.view(_mosaic(scene["image"].cpu(), position))
            written.append(write_picture(path, set_name, name, self.modalities["image"], "map", view, note=note))
        shown = {TRUTH: scene["target"]} | {
            key: image.argmax(1) for key, image in images.items() if not key.endswith(LAST)
        }
        for key, labels in shown.items():
            path = self._folder / f"{plain(f'{set_name}-{name}-{key}')}.png"
            picture = maps.coloured(_placed(labels.cpu(), position), self.colours)
            written.append(write_picture(path, set_name, name, key, "map", picture, note=note))
        return written


def _gridded(position: Tensor) -> bool:
    spans = position.amax(0) - position.amin(0)
    return bool((position == position.round()).all()) and float(spans.max()) < GRID


def _mosaic(image: Tensor, position: Tensor) -> Tensor:
    """Images [n,C,p,p] of blocks where they lie: [C,H,W]."""
    rows, columns = (position - position.amin(0)).long().T
    side = image.shape[-1]
    grid = image.new_zeros(image.shape[1], int(rows.max() + 1) * side, int(columns.max() + 1) * side)
    for window, row, column in zip(image, rows.tolist(), columns.tolist(), strict=True):
        grid[:, row * side : (row + 1) * side, column * side : (column + 1) * side] = window
    return grid


def _placed(labels: Tensor, position: Tensor) -> Tensor:
    """Labels [n] where they lie, -1 between them: blocks of a grid as squares, points of a map as dots; [H,W]."""
    place = position - position.amin(0)
    if _gridded(position):
        rows, columns = place.long().T
        grid = torch.full((int(rows.max()) + 1, int(columns.max()) + 1), -1, dtype=torch.int64)
        grid[rows, columns] = labels
        times = math.ceil(SIDE / max(grid.shape))
        return grid.repeat_interleave(times, 0).repeat_interleave(times, 1)
    place = place * (SIDE / float(place.max()))
    north, east = place.round().long().T
    grid = torch.full((int(north.max()) + 5, int(east.max()) + 5), -1, dtype=torch.int64)
    for down in range(5):
        for right in range(5):
            grid[north.max() - north + down, east + right] = labels
    return grid
