"""Brovey transform."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import EPS, matched


class Brovey(Pansharpening):
    """Every band times the ratio of the matched PAN to the mean of the bands.

    Source: Gillespie, Kahle, Walker, Color enhancement of highly correlated images II, Remote Sensing of Environment
    22(3), 1987; with PAN matched as in Vivone et al., IEEE TGRS 53(5), 2015.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        intensity = exp.mean(1, keepdim=True)
        return exp * matched(pan, intensity) / (intensity + EPS)
