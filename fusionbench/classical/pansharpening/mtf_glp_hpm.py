"""MTF-GLP with high-pass modulation."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import EPS, matched
from fusionbench.imaging import gaussian_low_pass


class MTF_GLP_HPM(Pansharpening):
    """Every band times the contrast of the PAN matched to it: the PAN over its pyramid low pass.

    Source: Aiazzi, Alparone, Baronti, Garzelli, Selva, An MTF-based spectral distortion minimizing model for
    pan-sharpening of very high resolution multispectral images of urban areas, GRSS/ISPRS Workshop, 2003.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sharp = matched(pan, exp, filtered=gaussian_low_pass(pan, self.ratio))
        return exp * sharp / (self.pyramid(sharp) + EPS)
