"""Smoothing filter-based intensity modulation."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import EPS, matched
from fusionbench.imaging import box_filter


class SFIM(Pansharpening):
    """Every band times the PAN matched to it over its mean in a box of about ratio x ratio px (odd).

    Source: Liu, Smoothing filter-based intensity modulation: a spectral preserve image fusion technique for improving
    spatial details, IJRS 21(18), 2000.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sharp = matched(pan, exp)
        return exp * sharp / (box_filter(sharp, self.ratio // 2 * 2 + 1) + EPS)
