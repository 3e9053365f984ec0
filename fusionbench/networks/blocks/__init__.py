"""Pieces that several networks share."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ResidualBlock": "residual",
        "init_variance_scaling": "init",
        "pad_to_multiple": "padding",
        "WindowAttention": "window_attention",
        "enlarge": "resampling",
        "first_sample": "resampling",
        "reduce": "resampling",
        "wake": "init",
        "init_normal": "init",
        "SameConv2d": "tensorflow",
        "BatchStatisticsNorm2d": "tensorflow",
        "Cycle": "derived",
        "Lowered": "derived",
        "Upsampled": "derived",
        "Blur": "degradation",
        "GuidedDecoder": "guided_decoder",
        "KnownResponse": "degradation",
        "Response": "degradation",
        "respond": "degradation",
        "response_support": "degradation",
    },
)
