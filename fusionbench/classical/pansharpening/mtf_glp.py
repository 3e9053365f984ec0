"""Generalised Laplacian pyramid with MTF-matched filters."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import matched
from fusionbench.imaging import gaussian_low_pass


class MTF_GLP(Pansharpening):
    """Every band gets the detail of the PAN matched to it: the PAN minus its pyramid low pass.

    Source: Aiazzi, Alparone, Baronti, Garzelli, Selva, MTF-tailored multiscale fusion of high-resolution MS and Pan
    imagery, PE&RS 72(5), 2006.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sharp = matched(pan, exp, filtered=gaussian_low_pass(pan, self.ratio))
        return exp + sharp - self.pyramid(sharp)
