"""Band-dependent spatial detail with physical constraints."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.bdsd import BDSD


class BDSD_PC(BDSD):
    """BDSD over the whole image, PAN's coefficients kept at or above 0 and those of the bands at or below 0.

    Source: Vivone, Robust band-dependent spatial-detail approaches for panchromatic sharpening, IEEE TGRS 57(9), 2019.
    """

    __init__ = Pansharpening.__init__

    block = None

    def fit(self, columns: Tensor, detail: Tensor) -> Tensor:
        signs = columns.new_tensor([-1.0] * (columns.shape[-2] - 1) + [1.0])
        # the triangle of a QR factorisation has the least-squares solutions of the whole system
        triangle = torch.linalg.qr(torch.cat([columns * signs[:, None], detail], dim=-2).mT, mode="r").R
        count = columns.shape[-2]
        weights = np.empty((*detail.shape[:-1], count))
        for at in np.ndindex(*detail.shape[:-2]):
            system = triangle[at].cpu().numpy()
            for band in range(detail.shape[-2]):
                weights[(*at, band)], _ = nnls(system[:, :count], system[:, count + band])
        return torch.from_numpy(weights).to(columns) * signs
