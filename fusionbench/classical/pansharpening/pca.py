"""Principal component substitution."""

from __future__ import annotations

import torch
from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, spatial
from fusionbench.classical.pansharpening.statistics import combine, cov, matched, mean


class PCA(Pansharpening):
    """The first principal component of the bands is replaced by the PAN matched to it.

    Source: Chavez, Kwarteng, Extracting spectral contrast in Landsat Thematic Mapper image data using selective
    principal component analysis, PE&RS 55(3), 1989.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        centred = exp - mean(exp)
        flat = spatial(centred)
        axis = torch.linalg.eigh(flat @ flat.mT).eigenvectors[..., -1]
        first = combine(axis[:, None], centred)
        # an eigenvector's sign is arbitrary: the component must follow PAN, not its negative
        sign = torch.where(cov(first, pan) < 0, -1.0, 1.0)
        detail = matched(pan, first * sign) - first * sign
        return exp + detail * sign * axis[..., None, None]
