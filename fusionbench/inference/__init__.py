"""Georeferenced prediction on scenes that do not fit in memory."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Prediction": "prediction",
        "predict_files": "prediction",
    },
)
