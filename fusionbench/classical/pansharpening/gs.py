"""Gram-Schmidt, mode 1."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import matched, slope


class GS(Pansharpening):
    """The mean of the bands is replaced by the matched PAN; each band takes the detail with its regression slope.

    Source: Laben, Brower, US patent 6,011,875, 2000, in the form of Vivone et al., IEEE TGRS 53(5), 2015.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        intensity = exp.mean(1, keepdim=True)
        return exp + slope(exp, intensity) * (matched(pan, intensity) - intensity)
