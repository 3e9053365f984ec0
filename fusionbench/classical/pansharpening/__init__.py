"""Classical pansharpening: lr [N,B,h,w], guide [N,1,H,W] -> [N,B,H,W], each image by its own statistics."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BDSD": "bdsd",
        "BT_H": "bt_h",
        "EXP": "exp",
        "GS": "gs",
        "GSA": "gsa",
        "IHS": "ihs",
        "MTF_GLP": "mtf_glp",
        "MTF_GLP_FS": "mtf_glp_fs",
        "MTF_GLP_HPM": "mtf_glp_hpm",
        "PRACS": "pracs",
        "Brovey": "brovey",
    },
)
