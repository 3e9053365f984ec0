"""Additive wavelet luminance proportional."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import EPS, matched
from fusionbench.imaging import wavelet_low_pass


class AWLP(Pansharpening):
    """The wavelet detail of the PAN matched to every band, shared out in proportion to the bands of a pixel.

    Source: Otazu, Gonzalez-Audicana, Fors, Nunez, Introduction of sensor spectral response into image fusion methods,
    IEEE TGRS 43(10), 2005.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sharp = matched(pan, exp, filtered=self.blur(pan))
        detail = sharp - wavelet_low_pass(sharp, self.ratio)
        return exp + detail * exp / (exp.mean(1, keepdim=True) + EPS)
