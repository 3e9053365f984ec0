"""Quality indices: one float64 value per image (functional), and torchmetrics.Metric classes that average them."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    dict.fromkeys(("RMSE", "PSNR", "CC", "DD", "SAM", "ERGAS", "UIQI", "SSIM", "SCC", "Q2n"), "with_reference")
    | dict.fromkeys(("DLambda", "DLambdaK", "DS", "QNR", "HQNR"), "without_reference")
    | {"MeanOverImages": "base"},
)
