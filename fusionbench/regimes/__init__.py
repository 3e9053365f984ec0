"""Regimes: how a method learns. Each fuses a batch with ``fuse`` and runs under every trainer configuration."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Classical": "classical",
        "Regime": "base",
        "Supervised": "supervised",
        "Unsupervised": "supervised",
        "read_checkpoint": "checkpoint",
        "rebuild": "checkpoint",
        "write_checkpoint": "checkpoint",
        "Adversarial": "adversarial",
        "Critic": "critic",
        "PerScene": "per_scene",
        "PixelClassification": "pixels",
        "PixelSolver": "pixels",
        "PixelStages": "pixels",
        "SolverStage": "stages",
        "Staged": "staged",
        "TrainingStage": "stages",
    },
)
