"""Terms on differences of neighbours: MDSSC-GAN's directions of gradients and spectral angle, SSR-NET's edges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from fusionbench.errors import ConfigError
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


class Edges(Term):
    """Mean squared error between first differences of an output and of the target along one axis.

    Source: Zhang et al., SSR-NET, IEEE TGRS 59(7), 2021, eqs. of the spatial and spectral edge losses.

    Args:
        axis: ``rows``, ``columns`` or ``bands``.
        output: which output.

    Raises:
        ConfigError: another axis.
    """

    AXES: ClassVar[dict[str, int]] = {"bands": 1, "rows": 2, "columns": 3}

    def __init__(self, axis: str, output: str = "output") -> None:
        super().__init__()
        if axis not in self.AXES:
            raise ConfigError(f"loss Edges: axis={axis}; one of {', '.join(self.AXES)}")
        self.axis, self.outputs = self.AXES[axis], (output,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        differences = (outputs[self.outputs[0]] - batch["target"]).diff(dim=self.axis).square()
        if mask is not None and self.axis > 1:
            length = mask.shape[self.axis] - 1
            mask = mask.narrow(self.axis, 0, length) & mask.narrow(self.axis, 1, length)
        return masked_mean(differences, mask)
