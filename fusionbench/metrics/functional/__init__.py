"""Indices as functions: one float64 value per image of a batch."""

from fusionbench._lazy import attach

_PIXELWISE = ("rmse", "psnr", "cc", "dd", "sam", "ergas", "ergas_bands")

__getattr__, __dir__, __all__ = attach(
    __name__,
    dict.fromkeys(_PIXELWISE, "pixelwise")
    | dict.fromkeys(("uiqi", "ssim", "scc"), "structural")
    | dict.fromkeys(
        ("d_lambda", "d_s", "qnr", "d_lambda_k", "hqnr", "full_resolution", "usable_pixels"), "no_reference"
    )
    | {"q2n": "hypercomplex", "share_used": "windows"},
)
