"""MTF-GLP with regression-based injection."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, per_band
from fusionbench.classical.pansharpening.statistics import slope


class MTF_GLP_CBD(Pansharpening):
    """Every band gets the PAN's detail times its slope on the low-passed PAN (context-based decision, one context).

    Source: Alparone, Wald, Chanussot, Thomas, Gamba, Bruce, Comparison of pansharpening algorithms: outcome of the 2006
    GRS-S data-fusion contest, IEEE TGRS 45(10), 2007.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        low = self.pyramid(per_band(pan, exp))
        return exp + slope(exp, low) * (pan - low)
