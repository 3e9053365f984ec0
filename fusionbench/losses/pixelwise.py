"""Terms that compare two images pixel by pixel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from fusionbench.errors import ConfigError
from fusionbench.losses.term import Term, masked_mean


class Pixelwise(Term):
    """Mean over pixels and bands of a function of the difference.

    Args:
        output: the output that is compared, [N,C,H,W].
        role: what it is compared with, [N,C,H,W].
    """

    def __init__(self, output: str = "output", role: str = "target") -> None:
        super().__init__()
        self.outputs, self.roles = (output,), (role,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        return masked_mean(self.penalty(outputs[self.outputs[0]], batch[self.roles[0]]), mask)

    @abstractmethod
    def penalty(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Penalty of each value, of the shape of both images."""


class MSE(Pixelwise):
    """Mean squared error."""

    def penalty(self, estimate: Tensor, reference: Tensor) -> Tensor:
        return (estimate - reference).square()


class L1(Pixelwise):
    """Mean absolute error."""

    def penalty(self, estimate: Tensor, reference: Tensor) -> Tensor:
        return (estimate - reference).abs()


class Charbonnier(Pixelwise):
    """sqrt(d^2 + eps^2): the absolute error, smooth at zero (Charbonnier et al., ICIP 1994).

    Args:
        eps: width of the smooth part, in the method's range of values.
    """

    def __init__(self, eps: float = 1e-3, output: str = "output", role: str = "target") -> None:
        super().__init__(output, role)
        if eps <= 0:
            raise ConfigError(f"loss Charbonnier: eps={eps}; a number above 0")
        self.eps = eps

    def penalty(self, estimate: Tensor, reference: Tensor) -> Tensor:
        return ((estimate - reference).square() + self.eps**2).sqrt()


class Huber(Pixelwise):
    """d^2 / 2 below ``delta``, delta (|d| - delta / 2) above (Huber 1964).

    Args:
        delta: where it turns linear, in the method's range of values.
    """

    def __init__(self, delta: float = 0.1, output: str = "output", role: str = "target") -> None:
        super().__init__(output, role)
        if delta <= 0:
            raise ConfigError(f"loss Huber: delta={delta}; a number above 0")
        self.delta = delta

    def penalty(self, estimate: Tensor, reference: Tensor) -> Tensor:
        return functional.huber_loss(estimate, reference, reduction="none", delta=self.delta)
