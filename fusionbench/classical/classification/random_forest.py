"""Random forest (Breiman, Machine Learning 45, 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from fusionbench.classical.classification.base import PixelClassifier


class RandomForest(PixelClassifier):
    """Trees on random halves of the bands' square root and of the pixels.

    Args:
        trees: how many.
        options: of `PixelClassifier`.
    """

    def __init__(self, classes: int, trees: int = 200, **options: Any) -> None:
        super().__init__(classes, **options)
        self.trees = trees

    def _fit(self, samples: np.ndarray, labels: np.ndarray, bands: Sequence[int]) -> Any:
        return RandomForestClassifier(self.trees, random_state=self.seed).fit(samples, labels)

    def _predict(self, fitted: Any, samples: np.ndarray) -> np.ndarray:
        return np.asarray(fitted.predict(samples))
