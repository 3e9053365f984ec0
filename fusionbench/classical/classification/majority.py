"""The class that most training samples have: what a method without any input would say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionbench.classical.classification.base import PixelClassifier


class Majority(PixelClassifier):
    """Says the most frequent class of the training samples, the first of several, whatever it sees."""

    def _fit(self, samples: np.ndarray, labels: np.ndarray, bands: Sequence[int]) -> Any:
        return int(np.bincount(labels).argmax())

    def _predict(self, fitted: Any, samples: np.ndarray) -> np.ndarray:
        return np.full(len(samples), fitted)
