"""Brovey transform with haze correction."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, spatial
from fusionbench.classical.pansharpening.statistics import EPS, combine, haze, least_squares, mean, quotient, std
from fusionbench.imaging import gaussian_low_pass


class BT_H(Pansharpening):
    """Brovey above the path radiance, its intensity the regression of low-passed PAN on the bands.

    Source: Lolli, Alparone, Garzelli, Vivone, Haze correction for contrast-based multispectral pansharpening, IEEE GRSL
    14(12), 2017.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        low = gaussian_low_pass(pan, self.ratio)
        path = haze(exp)
        clear = exp - path
        intensity = combine(least_squares(spatial(exp), spatial(low)), clear)
        sharp = (pan - mean(low)) * quotient(std(intensity), std(low)) + mean(intensity)
        return clear.clamp(min=0) * sharp / (intensity + EPS) + path
