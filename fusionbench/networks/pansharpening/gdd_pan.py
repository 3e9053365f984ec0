"""GDD (Uezato et al., ECCV 2020) in its pansharpening form: the guided decoder, and how it is fitted to a scene."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from fusionbench.imaging import imresize
from fusionbench.networks.blocks import GuidedDecoder
from fusionbench.networks.hs_ms_fusion import GuidedFit


class GDD(GuidedDecoder):
    """Guided deep decoder: a small random code grows into the fused image, gated at each scale by features of PAN.

    Shapes: lr [N,B,h,w] (not looked at: MS enters by the loss), guide [N,1,H,W] -> output [N,B,H,W] and, mixed by a
    learned B x B matrix, mixture [N,B,H,W]; values scaled to [0, 1], not clipped.

    Args:
        bands: of MS.
        channels: of all features.

    Source: Uezato, Hong, Yokoya, He, Guided Deep Decoder: Unsupervised Image Pair Fusion, ECCV 2020.
    """

    def __init__(self, bands: int, channels: int = 64) -> None:
        super().__init__(bands, 1, channels, separate=True)
        self.mixing = nn.Parameter(torch.diag(torch.randn(bands)))

    def forward(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        output = self.decode(guide, self.code(guide))
        return {"output": output, "mixture": self.mixed(output)}

    def mixed(self, output: Tensor) -> Tensor:
        """Bands mixed by the learned matrix."""
        return torch.einsum("nbhw,bc->nchw", output, self.mixing)


class GDDFit(GuidedFit):
    """Fit to an MS-PAN pair.

    Args:
        steps, rate, noise, leap, settle, repeat: see ``GuidedFit`` (published 8001 steps).
        weight: of the spectral term: 10 at reduced, 100 at full resolution as published; one for both here.
    """

    def __init__(
        self,
        steps: int = 8001,
        rate: float = 0.01,
        noise: float = 0.01,
        weight: float = 10.0,
        leap: float = 0.1,
        settle: int = 1000,
        repeat: int = 150,
    ) -> None:
        super().__init__(steps, rate, noise, leap, settle, repeat)
        self.weight = weight

    def terms(self, output: Tensor) -> dict[str, Tensor]:
        """MS against the reduced result, and the total variation of what the mixture leaves of PAN; weighted."""
        lr, guide = self.inputs["lr"], self.inputs["guide"]
        low = imresize(output, (lr.shape[-2], lr.shape[-1]))
        left = cast(GDD, self.decoder).mixed(output) - guide
        variation = left.diff(dim=-2).square().sum() + left.diff(dim=-1).square().sum()
        return {"spectral": self.weight * (low - lr).square().mean(), "detail": variation / left.numel()}
