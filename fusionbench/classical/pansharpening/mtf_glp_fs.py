"""MTF-GLP with injection coefficients fitted at full scale."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, per_band
from fusionbench.classical.pansharpening.statistics import cov, quotient, std


class MTF_GLP_FS(Pansharpening):
    """Every band gets the PAN's detail times cov(band, PAN) / cov(low-passed PAN, PAN).

    Source: Vivone, Restaino, Chanussot, Full scale regression-based injection coefficients for panchromatic sharpening,
    IEEE TIP 27(7), 2018.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        low = self.pyramid(per_band(pan, exp))
        gain = quotient(cov(exp, pan), cov(low, pan) * (std(low) > 0))
        return exp + gain * (pan - low)
