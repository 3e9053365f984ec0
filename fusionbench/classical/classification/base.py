"""What classifiers of single pixels share: they are fitted to labelled pixels and read whole rasters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError

CHUNK = 50_000  # pixels predicted at a time


class PixelClassifier(nn.Module, ABC):
    """Fitted once to labelled pixels, in float64; then each pixel of a raster gets a class.

    Shapes: each modality [1,B,H,W] -> scores [1,C,H,W], 1 for the class found and 0 elsewhere; 0 everywhere for pixels
    that are not ``asked`` for. The labelled pixels are part of the state, so that a checkpoint fits anew what it loads.

    Args:
        classes: C.
        modalities: which are read, in order; None: all that are given.
        seed: of whatever is drawn.
        most: labelled pixels used at most, drawn by class in equal shares of what there is; None: all.

    Raises:
        ConfigError: a number that makes no sense.
    """

    samples: Tensor
    labels: Tensor

    def __init__(
        self, classes: int, modalities: Sequence[str] | None = None, seed: int = 0, most: int | None = None
    ) -> None:
        super().__init__()
        if classes < 2 or (most is not None and most < classes):
            raise ConfigError(f"classes={classes}, most={most}: two classes or more, and a pixel for each")
        self.classes, self.seed, self.most = classes, seed, most
        self.modalities = None if modalities is None else tuple(modalities)
        self.register_buffer("samples", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))
        self.widths: tuple[int, ...] = ()
        self.register_buffer("bands", torch.zeros(0, dtype=torch.int64))
        self._fitted: Any = None

    @abstractmethod
    def _fit(self, samples: np.ndarray, labels: np.ndarray, bands: Sequence[int]) -> Any:
        """Whatever predicts: from samples [n, sum B] float64 and class indices [n]; bands of each modality."""

    @abstractmethod
    def _predict(self, fitted: Any, samples: np.ndarray) -> np.ndarray:
        """Class indices [n] of samples [n, sum B] float64."""

    def fit(self, samples: Mapping[str, Tensor], labels: Tensor) -> None:
        """Learn from labelled pixels.

        Args:
            samples: modality -> [n,B].
            labels: class indices [n].

        Raises:
            DataError: fewer than two classes among them.
        """
        chosen = {name: samples[name] for name in self._names(samples)}
        if len(torch.unique(labels)) < 2:
            raise DataError(f"a classifier needs labelled pixels of two classes or more, got {len(labels)} of one")
        rows = torch.arange(len(labels)) if self.most is None else _drawn(labels, self.most, self.seed)
        self.samples = torch.cat([x.double()[rows] for x in chosen.values()], dim=1)
        self.labels = labels[rows].clone()
        self.bands = torch.tensor([x.shape[1] for x in chosen.values()])
        self._fitted = None
        self._learned()

    def _names(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        names = tuple(given) if self.modalities is None else self.modalities
        absent = [name for name in names if name not in given]
        if absent:
            raise DataError(f"the method needs {', '.join(absent)}, the data have {', '.join(given)}")
        return names

    def _learned(self) -> Any:
        if not len(self.labels):
            raise DataError(f"{type(self).__name__} has not been fitted: it needs labelled training pixels")
        if self._fitted is None:
            x, y = self.samples.cpu().numpy(), self.labels.cpu().numpy()
            self._fitted = self._fit(x, y, self.bands.tolist())
        return self._fitted

    def forward(self, asked: Tensor | None = None, **modalities: Tensor) -> Tensor:
        rasters = [modalities[name] for name in self._names(modalities)]
        size = tuple(rasters[0].shape[-2:])
        wanted = torch.ones(size, dtype=torch.bool) if asked is None else asked.reshape(size).cpu()
        pixels = torch.cat([raster[0].flatten(1) for raster in rasters]).T[wanted.flatten()].double().cpu().numpy()
        learned = self._learned()
        found = [self._predict(learned, pixels[i : i + CHUNK]) for i in range(0, len(pixels), CHUNK)]
        scores = torch.zeros(self.classes, wanted.numel())
        places = wanted.flatten().nonzero()[:, 0]
        if found:
            scores[torch.from_numpy(np.concatenate(found)).long(), places] = 1
        return scores.reshape(1, self.classes, *size).to(rasters[0].device)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        for name, _ in self.named_buffers(recurse=False):  # their sizes are those of the labelled pixels
            if prefix + name in state_dict:
                self.register_buffer(name, torch.empty_like(state_dict[prefix + name]))
        self._fitted = None
        super()._load_from_state_dict(state_dict, prefix, *others)


def _drawn(labels: Tensor, most: int, seed: int) -> Tensor:
    """Rows of at most ``most`` labels, each class by its share but with one pixel at least; in their order."""
    if len(labels) <= most:
        return torch.arange(len(labels))
    rng = np.random.default_rng(seed)
    rows = []
    for label in torch.unique(labels):
        mine = (labels == label).nonzero()[:, 0].numpy()
        rows.append(rng.permutation(mine)[: max(1, int(len(mine) * most / len(labels)))])
    return torch.from_numpy(np.sort(np.concatenate(rows)))
