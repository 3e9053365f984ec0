"""Unmixing of hyperspectral images with heights."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"MUNet": "munet"})
