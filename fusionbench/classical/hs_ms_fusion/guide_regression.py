"""Spectra predicted from the guide alone: what a fusion method must beat to have used the HS image's places."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.hs_ms_fusion.base import HSFusion, degrade, pixels, regression, with_constant


class GuideRegression(HSFusion):
    """Every HS band as a linear function of the guide's, fitted at the HS image's sampling, applied at the guide's."""

    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        weights = regression(with_constant(pixels(degrade(guide, self.ratio))), pixels(lr))
        fused = with_constant(pixels(guide)) @ weights
        return fused.T.reshape(1, lr.shape[1], *guide.shape[-2:])
