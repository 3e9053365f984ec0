"""Classifiers of pixels without deep networks: support vectors, random forest, learned subspaces."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Majority": "majority",
        "PixelClassifier": "base",
        "RandomForest": "random_forest",
        "S2FL": "s2fl",
        "SVM": "svm",
    },
)
