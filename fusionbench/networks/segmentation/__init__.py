"""Extraction of targets from an optical image and heights."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"CMGFNet": "cmgfnet"})
