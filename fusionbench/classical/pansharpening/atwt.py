"""Additive undecimated wavelet."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import matched
from fusionbench.imaging import wavelet_low_pass


class ATWT(Pansharpening):
    """Every band gets the wavelet detail of the PAN matched to it.

    Source: Nunez, Otazu, Fors, Prades, Pala, Arbiol, Multiresolution-based image fusion with additive wavelet
    decomposition, IEEE TGRS 37(3), 1999.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sharp = matched(pan, exp, filtered=wavelet_low_pass(pan, self.ratio))
        return exp + sharp - wavelet_low_pass(sharp, self.ratio)
