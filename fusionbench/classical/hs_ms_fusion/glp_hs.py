"""Multiresolution analysis for hyperspectral images: additive (GLP) and multiplicative (SFIM) injection."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.hs_ms_fusion.base import HSFusion, degrade, pixels, regression, with_constant


class _Synthetic(HSFusion):
    """Methods that give each HS band a PAN of its own: the combination of guide bands that explains it best."""

    def detail(self, lr: Tensor, guide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The enlarged HS image, its synthetic PAN, and that PAN's low-pass; [1,B,H,W] each."""
        low = degrade(guide, self.ratio)
        weights = regression(with_constant(pixels(low)), pixels(lr))
        size = (1, lr.shape[1], *guide.shape[-2:])
        pan = (with_constant(pixels(guide)) @ weights).T.reshape(size)
        smooth = self.enlarged(degrade(pan, self.ratio))
        return self.enlarged(lr), pan, smooth


class GLPHS(_Synthetic):
    """Generalised Laplacian pyramid with a global gain per band.

    Source: Aiazzi et al., PE&RS 72(5), 2006, adapted to HS as in Yokoya, Grohnfeldt, Chanussot, IEEE GRSM 5(2), 2017.
    """

    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        up, pan, smooth = self.detail(lr, guide)
        centred = smooth - smooth.mean((-2, -1), keepdim=True)
        covariance = (centred * (up - up.mean((-2, -1), keepdim=True))).mean((-2, -1), keepdim=True)
        gain = covariance / centred.square().mean((-2, -1), keepdim=True).clamp(min=1e-30)
        return up + gain * (pan - smooth)


class SFIMHS(_Synthetic):
    """Smoothing-filter-based intensity modulation: the HS image times PAN over its low-pass, not below 0.

    Source: Liu, IJRS 21(18), 2000, adapted to HS as in Yokoya, Grohnfeldt, Chanussot, IEEE GRSM 5(2), 2017.
    """

    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        up, pan, smooth = self.detail(lr, guide)
        least = 1e-3 * smooth.abs().mean((-2, -1), keepdim=True)  # a low-pass near 0 is no divisor
        return (up * pan / smooth.maximum(least)).clamp(min=0)
