"""Terms of networks that unroll or feed a variational model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fusionbench.imaging.differences import gradients
from fusionbench.losses.term import Term, masked_mean


class StageEnergy(Term):
    """Sum over stages of the mean square of an output that ought to vanish, [N,stages,C,H,W].

    Source: Tian et al., VP-Net, IEEE TGRS 2021 (the symmetry of each stage's two transforms).
    """

    roles = ()

    def __init__(self, output: str = "symmetry") -> None:
        super().__init__()
        self.outputs = (output,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        error = outputs[self.outputs[0]]
        return error.shape[1] * masked_mean(error.flatten(1, 2).square(), mask)


class GradientError(Term):
    """Half the squared error of predicted gradients against those of reference and PAN, summed over an image.

    The mean over the images of the batch; channels [N,2(B+1),H,W] as ``imaging.differences.gradients`` orders them.

    Source: Shen et al., IEEE TGRS 57(8), 2019 (DL-VM).
    """

    roles = ("target", "guide")

    def __init__(self, output: str = "gradients") -> None:
        super().__init__()
        self.outputs = (output,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        error = (outputs[self.outputs[0]] - gradients(batch["target"], batch["guide"])).square()
        return 0.5 * (error if mask is None else error * mask).sum() / error.shape[0]
