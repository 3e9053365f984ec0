"""Pansharpening of hyperspectral images: lr [N,B,h,w], guide [N,1,H,W] -> [N,B,H,W]."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"HyperPNN": "hyperpnn", "Pgnet": "pgnet"})
