"""Terms of classifiers: cross entropy, and what further outputs of a network should not leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from fusionbench.errors import ConfigError
from fusionbench.losses.term import Term, masked_mean

IGNORED = -1  # label of what has none


class CrossEntropy(Term):
    """Mean cross entropy of logits [N,K] or [N,K,H,W] against class indices [N] or [N,H,W]; -1 does not count.

    Args:
        output: the logits.
        role: the class indices.
        weights: one number per class; None: all alike.

    Raises:
        ConfigError: a negative weight, or none above 0.
    """

    weights: Tensor | None

    def __init__(self, output: str = "output", role: str = "target", weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.outputs, self.roles = (output,), (role,)
        if weights is not None and (min(weights) < 0 or max(weights) <= 0):
            raise ConfigError(f"loss CrossEntropy: weights={list(weights)}; 0 or more each, one above 0")
        self.register_buffer("weights", None, persistent=False)
        if weights is not None:
            self.weigh(weights)

    def weigh(self, weights: Sequence[float]) -> None:
        """Give every class a weight; they are no part of a checkpoint."""
        device = None if self.weights is None else self.weights.device
        self.weights = torch.tensor([float(w) for w in weights], device=device)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        logits, labels = outputs[self.outputs[0]], batch[self.roles[0]]
        if mask is not None and labels.ndim > 1:
            labels = labels.masked_fill(~mask[:, 0], IGNORED)
        if not bool((labels != IGNORED).any()):
            return logits.sum() * 0
        weight = None if self.weights is None else self.weights.to(logits)
        return cross_entropy(logits, labels, weight=weight, ignore_index=IGNORED)


class BinaryCrossEntropy(Term):
    """Mean binary cross entropy of logits [N,K,H,W] against class indices [N,H,W], one-hot; -1 does not count.

    Args:
        output: the logits.
        role: the class indices.
    """

    def __init__(self, output: str = "output", role: str = "target") -> None:
        super().__init__()
        self.outputs, self.roles = (output,), (role,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        logits, labels = outputs[self.outputs[0]], batch[self.roles[0]]
        counted = (labels != IGNORED)[:, None]
        if mask is not None:
            counted = counted & mask
        truth = one_hot(labels.clamp(min=0).long(), logits.shape[1]).movedim(-1, 1).to(logits)
        return masked_mean(binary_cross_entropy_with_logits(logits, truth, reduction="none"), counted)


class Residuals(Term):
    """Sum of the mean squares of all outputs whose name begins with ``residual_``; 0 where there are none.

    Reconstruction errors of decoders, disagreement of logits: the network forms the difference, the mean is over all
    its values.
    """

    outputs = ()
    roles = ()

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        found = [value.square().mean() for name, value in outputs.items() if name.startswith("residual_")]
        return torch.stack(found).sum() if found else outputs["output"].sum() * 0
