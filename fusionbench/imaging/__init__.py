"""Tensors in, tensors out: interpolation, MTF filters, Wald's degradation, sub-pixel shifts, tiling, composites."""

from fusionbench._lazy import attach

# `shift` is a module and a function: take the function from fusionbench.imaging.shift
__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "GRIDS": "interpolation",
        "check_grid": "interpolation",
        "expand": "interpolation",
        "imresize": "interpolation",
        "interp23": "interpolation",
        "distance_maps": "distance",
        "shares_by_zone": "distance",
        "box_filter": "mtf",
        "gaussian_low_pass": "mtf",
        "mtf_filter": "mtf",
        "mtf_kernel": "mtf",
        "wavelet_low_pass": "mtf",
        "decimate": "wald",
        "degrade_ms": "wald",
        "degrade_pan": "wald",
        "ShiftEstimate": "shift",
        "estimate_shift": "shift",
    },
)
