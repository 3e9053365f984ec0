"""Fusion of hyperspectral and multispectral images: lr [N,B,h,w], guide [N,b,H,W] -> [N,B,H,W]."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CUCaNet": "cucanet",
        "CUCaNetFit": "cucanet",
        "GDD": "gdd",
        "GDDFit": "gdd",
        "GuidedFit": "gdd",
        "MIAE": "miae",
        "MIAEDegradation": "miae",
        "MIAEFit": "miae",
        "NonRegSRNet": "nonregsrnet",
        "NonRegSRNetFit": "nonregsrnet_fit",
        "SSRNet": "ssr_net",
        "UDALN": "udaln",
        "UDALNFit": "udaln",
        "USDN": "usdn",
        "USDNFit": "usdn_fit",
    },
)
