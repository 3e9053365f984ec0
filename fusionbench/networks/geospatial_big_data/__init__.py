"""Remote sensing beside geospatial big data: images with points of interest and series of human activity."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CFCNN": "cf_cnn",
        "CFCNNImage": "cf_cnn",
        "CFCNNSeries": "cf_cnn",
        "CellsAlone": "unifieddl_ufz_stages",
        "ImagePatches": "unifieddl_ufz",
        "POIPatches": "unifieddl_ufz",
        "PatchFusion": "unifieddl_ufz",
        "SpatialContext": "unifieddl_ufz",
        "TakeCells": "unifieddl_ufz_stages",
        "UnifiedDLUFZ": "unifieddl_ufz",
    },
)
