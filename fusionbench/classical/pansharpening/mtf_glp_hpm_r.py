"""MTF-GLP-HPM with regression-based matching."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, per_band
from fusionbench.classical.pansharpening.statistics import EPS, mean, quotient, slope


class MTF_GLP_HPM_R(Pansharpening):
    """High-pass modulation by the PAN as its low pass regresses on each band: an offset per band, no matched spread.

    Source: Vivone, Restaino, Chanussot, A regression-based high-pass modulation pansharpening approach, IEEE TGRS
    56(2), 2018.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        low = self.pyramid(per_band(pan, exp))
        gain = slope(exp, low)
        offset = quotient(mean(exp), gain) - mean(pan)
        fused = exp * (pan + offset) / (low + offset + EPS)
        # a band that does not follow PAN at all takes nothing from it
        return fused.where(gain != 0, exp)
