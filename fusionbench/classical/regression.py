"""Regressions of single pixels, as rows to compare with: a constant, a linear one, a random forest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError

KINDS = ("mean", "linear", "forest")


class PixelRegression(nn.Module):
    """Fitted once to pixels with a known number; then each pixel of rasters gets one.

    Shapes: each modality [1,B,H,W] -> [1,1,H,W].

    Args:
        kind: ``mean`` of the training numbers, whatever is seen; ``linear`` least squares; ``forest``.
        modalities: which are read, in order.
        seed: of the forest.
        trees: of the forest.

    Raises:
        ConfigError: another kind.
    """

    def __init__(self, kind: str, modalities: Sequence[str], seed: int = 0, trees: int = 100) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ConfigError(f"regression of pixels: kind={kind}: one of {', '.join(KINDS)}")
        self.kind, self.modalities, self.seed, self.trees = kind, tuple(modalities), seed, trees
        self._fitted: Any = None

    def fit(self, samples: Mapping[str, Tensor], values: Tensor) -> None:
        """Learn from pixels: modality -> [n,B], and numbers [n]."""
        x = torch.cat([samples[name] for name in self.modalities], dim=1).double().numpy()
        y = values.double().numpy()
        if self.kind == "mean":
            self._fitted = float(y.mean())
        elif self.kind == "linear":
            self._fitted = LinearRegression().fit(x, y)
        else:
            self._fitted = RandomForestRegressor(self.trees, min_samples_leaf=3, random_state=self.seed).fit(x, y)

    def forward(self, **modalities: Tensor) -> Tensor:
        if self._fitted is None:
            raise DataError("a regression of pixels has not been fitted: it needs training pixels")
        rasters = [modalities[name][0] for name in self.modalities]
        size = tuple(rasters[0].shape[-2:])
        pixels = torch.cat([raster.flatten(1) for raster in rasters]).T.double().cpu().numpy()
        found = np.full(len(pixels), self._fitted) if self.kind == "mean" else self._fitted.predict(pixels)
        return torch.from_numpy(np.asarray(found, np.float32)).reshape(1, 1, *size).to(rasters[0].device)
