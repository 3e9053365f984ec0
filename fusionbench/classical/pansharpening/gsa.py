"""Adaptive Gram-Schmidt."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, spatial, with_ones
from fusionbench.classical.pansharpening.statistics import combine, least_squares, mean, slope
from fusionbench.imaging import wavelet_low_pass


class GSA(Pansharpening):
    """Gram-Schmidt whose intensity is the regression of low-resolution PAN on the MS bands.

    Source: Aiazzi, Baronti, Selva, Improving component substitution pansharpening through multivariate regression of
    MS + Pan data, IEEE TGRS 45(10), 2007.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        detail = pan - mean(pan)
        low = self.decimate(wavelet_low_pass(detail, self.ratio))
        weights = least_squares(spatial(with_ones(ms - mean(ms))), spatial(low))
        intensity = combine(weights[..., 1:], exp - mean(exp))
        fused = exp + slope(exp, intensity) * (detail - intensity)
        return fused - mean(fused) + mean(exp)
