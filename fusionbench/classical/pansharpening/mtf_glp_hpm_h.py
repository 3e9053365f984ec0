"""MTF-GLP-HPM with haze correction."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, per_band, spatial, with_ones
from fusionbench.classical.pansharpening.statistics import EPS, combine, haze, least_squares
from fusionbench.imaging import gaussian_low_pass


class MTF_GLP_HPM_H(Pansharpening):
    """High-pass modulation above the path radiance; that of PAN follows from its regression on the bands.

    Source: Lolli, Alparone, Garzelli, Vivone, Haze correction for contrast-based multispectral pansharpening, IEEE GRSL
    14(12), 2017.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        path = haze(exp)
        weights = least_squares(spatial(with_ones(exp)), spatial(gaussian_low_pass(pan, self.ratio)))
        pan_path = combine(weights, with_ones(path))
        low = self.pyramid(per_band(pan, exp))
        return (exp - path) * (pan - pan_path) / (low - pan_path + EPS) + path
