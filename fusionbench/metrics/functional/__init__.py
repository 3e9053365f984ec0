"""Indices as functions: one float64 value per image of a batch."""

from fusionbench._lazy import attach

_MODULES = {
    "pixelwise": ("rmse", "psnr", "cc", "dd", "sam", "ergas", "ergas_bands"),
    "structural": ("uiqi", "ssim", "scc"),
    "hypercomplex": ("q2n",),
    "no_reference": ("d_lambda", "d_s", "qnr", "d_lambda_k", "hqnr", "full_resolution", "usable_pixels"),
    "sharpness": ("fcc", "spatial_frequency", "standard_deviation"),
    "unvalidated": ("d_s_regression_unvalidated", "rqnr_unvalidated", "d_rho_unvalidated"),
    "windows": ("share_used",),
    "regression": ("root_mean_square_error", "mean_absolute_error", "bias", "r2", "pearson_r2", "shares_error"),
    "confusion": ("confusion_matrix", "accuracies", "Accuracies"),
    "unmixing": ("spectral_angles", "match_members", "abundance_errors"),
}

__getattr__, __dir__, __all__ = attach(__name__, {name: module for module, names in _MODULES.items() for name in names})
