"""How results are measured, written, shown and compared."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Evaluator": "base",
        "Segmentation": "segmentation",
        "SpatioSpectral": "spatiospectral",
        "Application": "application",
        "Classification": "classification",
        "MissingModality": "missing_modality",
        "PlaceClassification": "places",
        "Hyperspectral": "hyperspectral",
        "Explain": "explain",
        "Regression": "regression",
        "Robustness": "robustness",
        "FullWithTruth": "full_with_truth",
        "Results": "results",
        "leaderboard": "leaderboard",
    },
)
