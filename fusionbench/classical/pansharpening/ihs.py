"""IHS, the fast additive form for any number of bands."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import matched


class IHS(Pansharpening):
    """The mean of the bands is replaced by the PAN matched to it; the difference is added to every band.

    Source: Tu, Su, Shyu, Huang, A new look at IHS-like image fusion methods, Information Fusion 2(3), 2001.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        intensity = exp.mean(1, keepdim=True)
        return exp + matched(pan, intensity) - intensity
