"""Terms that compare spectra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fusionbench.losses.term import Term, masked_mean


class SAM(Term):
    """Mean spectral angle in radians (Kruse et al. 1993), with a gradient at equal spectra too.

    The angle is taken as atan2(|a - b|, |a + b|) of unit spectra, doubled: the arc cosine has no derivative at 1.
    A spectrum shorter than ``eps`` has no direction and counts as angle 0.

    Args:
        eps: shortest spectrum that has a direction, in the method's range of values.
    """

    def __init__(self, eps: float = 1e-6, output: str = "output", role: str = "target") -> None:
        super().__init__()
        self.eps, self.outputs, self.roles = eps, (output,), (role,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        estimate, reference = outputs[self.outputs[0]], batch[self.roles[0]]
        a, b = self._unit(estimate), self._unit(reference)
        angle = 2 * torch.atan2(_norm(a - b), _norm(a + b))
        lengths = torch.minimum(_norm(estimate.detach()), _norm(reference))
        return masked_mean(torch.where(lengths > self.eps, angle, torch.zeros_like(angle)), mask)

    def _unit(self, image: Tensor) -> Tensor:
        return image / _norm(image).clamp(min=self.eps)


def _norm(image: Tensor) -> Tensor:
    """Length of each pixel's spectrum, [N,1,H,W]; differentiable at zero."""
    return (image.square().sum(1, keepdim=True) + 1e-24).sqrt()
