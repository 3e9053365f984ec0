"""MUNet (Han et al., IEEE TGRS 2022): an unmixing autoencoder whose scores are weighed by heights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU())


class MUNet(nn.Module):
    """Abundances from a spectrum and from heights about it; end-members are the decoder's weights.

    Shapes: hs [N,B,H,W] (0 to 1), height [N,D,H,W] (a profile of heights, 0 to 1) -> ``output`` abundances [N,P,H,W]
    of sum 1, ``rebuilt`` [N,B,H,W]. Pixels do not see each other.

    Args:
        bands: B.
        heights: D.
        members: P.
        reduction: the attention has P // reduction channels inside.

    Source: Han, Hong, Gao, Zhang, Chanussot, Multimodal Hyperspectral Unmixing: Insights from Attention Networks, IEEE
    TGRS 60, 2022, section III.
    """

    def __init__(self, bands: int, heights: int, members: int, reduction: int = 2) -> None:
        super().__init__()
        inner = members // reduction
        self.encoder = nn.Sequential(
            *_layer(bands, bands // 2), *_layer(bands // 2, bands // 4), nn.Conv2d(bands // 4, members, 1)
        )
        self.height = nn.Sequential(*_layer(heights, inner), *_layer(inner, members))
        self.attention = nn.Sequential(
            nn.Conv2d(members, inner, 1), nn.ReLU(), nn.Conv2d(inner, members, 1), nn.Sigmoid()
        )
        self.decoder = nn.Conv2d(members, bands, 1, bias=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)

    def forward(self, hs: Tensor, height: Tensor) -> dict[str, Tensor]:
        weights = self.attention(self.height(height))
        abundances = torch.softmax(self.encoder(hs) * weights, dim=1)
        return {"output": abundances, "rebuilt": relu(self.decoder(abundances))}

    @property
    def members(self) -> Tensor:
        """End-members [P,B]."""
        return self.decoder.weight[..., 0, 0].T

    @torch.no_grad()
    def begin_with(self, members: Tensor) -> None:
        """Take end-members [P,B], e.g. of VCA."""
        self.decoder.weight.copy_(members.T[..., None, None])

    @torch.no_grad()
    def project(self) -> None:
        """Keep end-members within 1e-6 and 1."""
        self.decoder.weight.clamp_(1e-6, 1)
