"""End-members from an image, and abundances by constrained least squares."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {"fcls": "least_squares", "vca": "vertex_components"})
