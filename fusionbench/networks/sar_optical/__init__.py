"""Fusion of SAR and optical images."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"DSen2CR": "dsen2_cr"})
