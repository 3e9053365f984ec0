"""A loss as a set of named, weighted terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError
from fusionbench.losses.term import Term

Weight = float | Callable[[int], float]


class LossSet(nn.Module):
    """The weighted sum of named terms.

    Args:
        terms: by name; the names appear in the learning curves.
        weights: of each term, a number or a function of the batches done (``Ramp``, ``Steps``); 1 where none is given.

    Raises:
        ConfigError: no term, a weight without a term, a term that is none.
    """

    def __init__(self, terms: Mapping[str, Term], weights: Mapping[str, Weight] | None = None) -> None:
        super().__init__()
        weights = dict(weights or {})
        if not terms:
            raise ConfigError("loss.terms is empty: name at least one term")
        for name, term in terms.items():
            if not isinstance(term, Term):
                raise ConfigError(f"loss.terms.{name}: {type(term).__name__} is no loss term (fusionbench.losses)")
        unknown = sorted(set(weights) - set(terms))
        if unknown:
            raise ConfigError(f"loss.weights.{unknown[0]}: there is no such term; terms are {', '.join(terms)}")
        self.terms = nn.ModuleDict(dict(terms))
        self.weights: dict[str, Weight] = {name: weights.get(name, 1.0) for name in terms}

    @property
    def roles(self) -> frozenset[str]:
        """Roles of the batch that the terms read."""
        return frozenset(role for term in self._terms().values() for role in term.roles)

    @property
    def outputs(self) -> frozenset[str]:
        """Outputs of the method that the terms read."""
        return frozenset(name for term in self._terms().values() for name in term.outputs)

    @property
    def supervised(self) -> bool:
        """Whether any term reads the target."""
        return "target" in self.roles

    def _terms(self) -> dict[str, Term]:
        return {name: term for name, term in self.terms.items() if isinstance(term, Term)}

    def forward(
        self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], *, border: int = 0, step: int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the unweighted value of each term.

        Args:
            outputs: of the method, by name; ``output`` [N,C,H,W].
            batch: tensors under roles; ``valid`` [N,1,H,W] says which pixels count.
            border: pixels at the edges of the target grid that do not count.
            step: batches done, for weights that follow it.
        """
        mask = counted(outputs["output"], batch.get("valid"), border)
        total: Tensor | None = None
        values: dict[str, Tensor] = {}
        for name, term in self.terms.items():
            weight = self.weights[name]
            value = values[name] = term(outputs, batch, mask)
            part = (weight(step) if callable(weight) else weight) * value
            total = part if total is None else total + part
        assert total is not None  # terms is not empty
        return total, values


def counted(image: Tensor, valid: Tensor | None, border: int) -> Tensor | None:
    """Pixels that count [N,1,H,W] bool: valid and not at the border; None: all.

    Raises:
        ConfigError: the border leaves nothing.
    """
    if border == 0:
        return valid
    rows, columns = image.shape[-2:]
    if 2 * border >= min(rows, columns):
        raise ConfigError(f"model.module.loss_border={border}: leaves nothing of a patch of {rows} x {columns} px")
    inner = torch.zeros((image.shape[0], 1, rows, columns), dtype=torch.bool, device=image.device)
    inner[..., border:-border, border:-border] = True
    return inner if valid is None else inner & valid
