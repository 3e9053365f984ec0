"""One number against a threshold: what a height alone says of a building."""

from __future__ import annotations

from torch import Tensor, nn


class Threshold(nn.Module):
    """Target where the first band of a modality is above a number: each modality [N,B,H,W] -> logits [N,1,H,W].

    Args:
        role: the modality.
        above: in the units of the batch.
    """

    def __init__(self, role: str, above: float) -> None:
        super().__init__()
        self.role, self.above = role, float(above)

    def forward(self, **modalities: Tensor) -> Tensor:
        return modalities[self.role][:, :1] - self.above
