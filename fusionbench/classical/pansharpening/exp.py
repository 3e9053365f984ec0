"""EXP: interpolation alone, the floor of every comparison."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening


class EXP(Pansharpening):
    """The MS upsampled by the 23-tap polynomial (bicubic where the ratio is no power of two); blind to PAN.

    Source: Aiazzi et al., Context-driven fusion of high spatial and spectral resolution images based on oversampled
    multiresolution analysis, IEEE TGRS 40(10), 2002.
    """

    tileable = True

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        return exp
