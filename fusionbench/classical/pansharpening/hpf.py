"""High-pass filtering."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import matched
from fusionbench.imaging import box_filter


class HPF(Pansharpening):
    """Every band gets the PAN matched to it minus its mean over a box of about ratio x ratio px (odd).

    Source: Chavez, Sides, Anderson, Comparison of three different methods to merge multiresolution and multispectral
    data, PE&RS 57(3), 1991.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sharp = matched(pan, exp)
        return exp + sharp - box_filter(sharp, self.ratio // 2 * 2 + 1)
