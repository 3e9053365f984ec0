"""Adaptive Gram-Schmidt for hyperspectral images and a guide of one or more bands."""

from __future__ import annotations

import torch
from torch import Tensor

from fusionbench.classical.hs_ms_fusion.base import HSFusion, degrade, pixels, regression, with_constant


class GSAHS(HSFusion):
    """GSA per group of HS bands: each HS band belongs to the guide band it correlates with best.

    Source: Aiazzi, Baronti, Selva, IEEE TGRS 45(10), 2007; grouped as in Yokoya, Grohnfeldt, Chanussot, Hyperspectral
    and multispectral data fusion: a comparative review, IEEE GRSM 5(2), 2017.
    """

    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        low, up = degrade(guide, self.ratio), self.enlarged(lr)
        own = best_band(lr, low)
        fused = up.clone()
        for band in own.unique().tolist():
            members = (own == band).nonzero()[:, 0]
            group = up[:, members]
            weights = regression(with_constant(pixels(lr[:, members])), pixels(low[:, band : band + 1]))
            intensity = (with_constant(pixels(group)) @ weights).T.reshape(1, 1, *guide.shape[-2:])
            detail = guide[:, band : band + 1] - intensity
            centred = intensity - intensity.mean()
            gain = (centred * group).mean((-2, -1), keepdim=True) / centred.square().mean().clamp(min=1e-30)
            fused[:, members] = group + gain * detail
        return fused


def best_band(lr: Tensor, low: Tensor) -> Tensor:
    """Per HS band the guide band [B] of largest correlation; lr [1,B,h,w], low [1,b,h,w]."""
    x, y = (image[0].flatten(1) - image[0].flatten(1).mean(1, keepdim=True) for image in (lr, low))
    norms = torch.outer(x.norm(dim=1), y.norm(dim=1)).clamp(min=1e-30)
    return (x @ y.T / norms).argmax(1)
