"""Classical pansharpening: lr [N,B,h,w], guide [N,1,H,W] -> [N,B,H,W], each image by its own statistics."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ATWT": "atwt",
        "AWLP": "awlp",
        "BDSD": "bdsd",
        "BDSD_PC": "bdsd_pc",
        "Brovey": "brovey",
        "BT_H": "bt_h",
        "EXP": "exp",
        "GS": "gs",
        "GSA": "gsa",
        "HPF": "hpf",
        "IHS": "ihs",
        "MF": "mf",
        "MTF_GLP": "mtf_glp",
        "MTF_GLP_CBD": "mtf_glp_cbd",
        "MTF_GLP_FS": "mtf_glp_fs",
        "MTF_GLP_HPM": "mtf_glp_hpm",
        "MTF_GLP_HPM_H": "mtf_glp_hpm_h",
        "MTF_GLP_HPM_R": "mtf_glp_hpm_r",
        "PCA": "pca",
        "PRACS": "pracs",
        "SFIM": "sfim",
        "TV": "tv",
        "VONet": "vo_net",
    },
)
