"""The residual block of PanNet and its descendants."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu


class ResidualBlock(nn.Module):
    """3x3 conv, ReLU, 3x3 conv, plus the input; no normalisation, no activation after the sum.

    Shapes: [N,C,H,W] -> [N,C,H,W]. Parameter names as in the published PanNet and FusionNet weights.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.conv20 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv21 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv21(relu(self.conv20(x)))
