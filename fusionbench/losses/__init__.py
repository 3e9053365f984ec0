"""Loss terms, and the set of named, weighted terms that a method learns from."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BinaryCrossEntropy": "classification",
        "Charbonnier": "pixelwise",
        "CloudAdaptive": "clouds",
        "CrossEntropy": "classification",
        "GradientError": "unrolled",
        "Huber": "pixelwise",
        "L1": "pixelwise",
        "LossSet": "loss_set",
        "MSE": "pixelwise",
        "Ramp": "schedules",
        "Reduced": "multiscale",
        "Residuals": "classification",
        "SAM": "spectral",
        "SSIM": "structural",
        "StageEnergy": "unrolled",
        "Steps": "schedules",
        "Term": "term",
        "Compare": "unsupervised",
        "Degraded": "unsupervised",
        "Edges": "gradients",
        "GradientAlignment": "gradients",
        "HighPass": "unsupervised",
        "LeastSquares": "adversarial",
        "LowPass": "unsupervised",
        "QNR": "unsupervised",
        "RelativisticAverage": "adversarial",
        "ShiftedSAM": "gradients",
        "Vanilla": "adversarial",
        "Wasserstein": "adversarial",
    },
)
