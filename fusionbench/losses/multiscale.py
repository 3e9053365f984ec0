"""Terms on results of lower resolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.losses.pixelwise import Pixelwise
from fusionbench.losses.term import Term


class Reduced(Term):
    """A pixelwise term against the reference at a fraction of its size: every ``factor``-th pixel, the first included.

    Args:
        term: reads an output of [N,C,H/factor,W/factor].
        factor: nearest-neighbour reduction of the reference and of the mask.

    Raises:
        ConfigError: a term that is not pixelwise, a factor below 2.
    """

    def __init__(self, term: Pixelwise, factor: int = 2) -> None:
        super().__init__()
        if not isinstance(term, Pixelwise):
            raise ConfigError(
                f"loss Reduced: {type(term).__name__} is no pixelwise term; MSE, L1, Charbonnier or Huber"
            )
        if factor < 2:
            raise ConfigError(f"loss Reduced: factor={factor}; a whole number from 2")
        self.term, self.factor = term, factor
        self.outputs, self.roles = term.outputs, term.roles

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        step = self.factor
        reduced = {role: batch[role][..., ::step, ::step] for role in self.roles}
        return self.term(outputs, reduced, None if mask is None else mask[..., ::step, ::step])
