"""Classical fusion of hyperspectral and multispectral images: lr [N,B,h,w], guide [N,b,H,W] -> [N,B,H,W]."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Bicubic": "base",
        "CNMF": "cnmf",
        "GLPHS": "glp_hs",
        "GSAHS": "gsa_hs",
        "GuideRegression": "guide_regression",
        "SFIMHS": "glp_hs",
    },
)
