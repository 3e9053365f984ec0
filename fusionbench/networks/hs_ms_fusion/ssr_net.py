"""SSR-NET: guide bands put into the interpolated HS image, then one convolution each for fusion, space and spectrum."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu


class SSRNet(nn.Module):
    """Zhang, Huang, Wang, Li, SSR-NET: Spatial-Spectral Reconstruction Network for Hyperspectral and Multispectral
    Image Fusion, IEEE TGRS 59(7), 2021.

    Shapes: lr [N,B,h,w], guide [N,b,H,W] with H = ratio h, srf [b,B] or [N,b,B] -> ``output`` [N,B,H,W], ``spatial``
    [N,B,H,W] (what the spatial edges of the loss are taken from).

    Args:
        bands: B.
        guide_bands: b, at most B; guide band i takes the place of the HS band nearest to the middle of its response,
            or, without ``srf``, of b bands spread evenly over the range, as published.
    """

    def __init__(self, bands: int, guide_bands: int) -> None:
        super().__init__()
        self.bands, self.guide_bands = bands, guide_bands
        self.alpha = nn.Parameter(torch.tensor(0.5))  # in the published weights and count, used by no layer
        self.fusion = nn.Conv2d(bands, bands, 3, padding=1)
        self.spatial = nn.Conv2d(bands, bands, 3, padding=1)
        self.spectral = nn.Conv2d(bands, bands, 3, padding=1)

    def places(self, srf: Tensor | None) -> list[int]:
        """HS band that each guide band replaces."""
        if srf is None:
            gap = self.bands / (self.guide_bands - 1) if self.guide_bands > 1 else 0.0
            return [*(int(gap * i) for i in range(self.guide_bands - 1)), self.bands - 1]
        rows = srf.reshape(-1, *srf.shape[-2:])[0]
        number = torch.arange(self.bands, dtype=rows.dtype, device=rows.device)
        return [int(n) for n in ((rows * number).sum(1) / rows.sum(1)).round().tolist()]

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor | None = None) -> dict[str, Tensor]:
        up = interpolate(lr, size=guide.shape[-2:], mode="bilinear")
        layers = list(up.unbind(1))
        for band, place in enumerate(self.places(srf)):
            layers[place] = guide[:, band]
        x = relu(self.fusion(torch.stack(layers, 1)))
        spatial = x + relu(self.spatial(x))
        return {"output": spatial + relu(self.spectral(spatial)), "spatial": spatial}
