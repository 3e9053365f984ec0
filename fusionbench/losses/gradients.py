"""Terms of MDSSC-GAN: directions of image gradients, and its stabilised spectral angle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fusionbench.losses.term import Term, masked_mean


class GradientAlignment(Term):
    """Mean absolute cross product of the gradients (forward differences) of output and target, band by band.

    Zero where they point the same way, whatever their lengths. In squared units of the method's range.

    Source: Gastineau et al., IEEE TGRS 60, 2022.
    """

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        (down, right), (down_t, right_t) = _gradient(outputs["output"]), _gradient(batch["target"])
        return masked_mean((right_t * down - down_t * right).abs(), None if mask is None else mask[..., :-1, :-1])


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences along rows and columns, cropped to [.., H - 1, W - 1]."""
    return (x[..., 1:, :] - x[..., :-1, :])[..., :-1], (x[..., 1:] - x[..., :-1])[..., :-1, :]


class ShiftedSAM(Term):
    """Spectral angle with 1 added to both lengths, as a share of pi: finite slope, and never quite zero.

    Source: Gastineau et al., IEEE TGRS 60, 2022; meant for values 0..255.
    """

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        output, target = outputs["output"], batch["target"]
        lengths = (_norm(output) + 1) * (_norm(target) + 1)
        cosine = (output * target).sum(dim=1, keepdim=True) / lengths
        return masked_mean(cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos() / math.pi, mask)


def _norm(x: Tensor) -> Tensor:
    """Length of each pixel's spectrum [N,1,H,W], with a slope at zero."""
    return (x.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
