"""Band-dependent spatial detail with physical constraints."""

from __future__ import annotations

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.bdsd import BDSD
from fusionbench.classical.pansharpening.statistics import nonnegative_least_squares


class BDSD_PC(BDSD):
    """BDSD over the whole image, PAN's coefficients kept at or above 0 and those of the bands at or below 0.

    Source: Vivone, Robust band-dependent spatial-detail approaches for panchromatic sharpening, IEEE TGRS 57(9), 2019.
    """

    __init__ = Pansharpening.__init__

    block = None

    def fit(self, columns: Tensor, detail: Tensor) -> Tensor:
        signs = columns.new_tensor([-1.0] * (columns.shape[-2] - 1) + [1.0])
        return nonnegative_least_squares(columns * signs[:, None], detail) * signs
