"""Support vectors with a Gaussian kernel (Vapnik 1995), the classifier that networks are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fusionbench.classical.classification.base import PixelClassifier


class SVM(PixelClassifier):
    """RBF-SVM on standardised bands; penalty and kernel width by cross-validation on the training pixels.

    Args:
        penalties: C of which the best is taken.
        widths_of: factors on 1 / (number of bands), the kernel's gamma.
        folds: of the cross-validation; classes with fewer pixels than that make it smaller, down to none.
        options: of `PixelClassifier`.
    """

    def __init__(
        self,
        classes: int,
        penalties: Sequence[float] = (1.0, 10.0, 100.0),
        widths_of: Sequence[float] = (0.25, 1.0, 4.0),
        folds: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(classes, **options)
        self.penalties, self.widths_of, self.folds = list(penalties), list(widths_of), folds

    def _fit(self, samples: np.ndarray, labels: np.ndarray, bands: Sequence[int]) -> Any:
        machine = make_pipeline(StandardScaler(), SVC(cache_size=500))
        grid = {"svc__C": self.penalties, "svc__gamma": [width / samples.shape[1] for width in self.widths_of]}
        folds = min(self.folds, int(np.bincount(labels)[np.unique(labels)].min()))
        if folds < 2:
            middle = {key: values[len(values) // 2] for key, values in grid.items()}
            return machine.set_params(**middle).fit(samples, labels)
        return GridSearchCV(machine, grid, cv=StratifiedKFold(folds, shuffle=True, random_state=self.seed)).fit(
            samples, labels
        )

    def _predict(self, fitted: Any, samples: np.ndarray) -> np.ndarray:
        return np.asarray(fitted.predict(samples))
