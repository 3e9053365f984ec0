"""Pixel-wise classification of co-registered modalities: hyperspectral with LiDAR, SAR, multispectral, or more."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AuxAlone": "two_branch_stages",
        "AuxFeaturesStage": "rndff_stages",
        "BranchClassifier": "two_branch_cnn",
        "DecisionFusion": "rndff",
        "DecisionWeights": "rndff_stages",
        "EndNet": "endnet",
        "FusionBaseline": "fusion_baseline",
        "HSAlone": "two_branch_stages",
        "HSFeaturesStage": "rndff_stages",
        "HSStage": "rndff_stages",
        "HandOver": "two_branch_stages",
        "MDLRS": "mdl_rs",
        "RNDFF": "rndff",
        "S2ENet": "s2enet",
        "SSRN": "rndff",
        "TwoBranchCNN": "two_branch_cnn",
    },
)
