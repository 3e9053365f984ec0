"""What every loss term has in common: which tensors it reads, and the mean over the pixels that count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Term(nn.Module, ABC):
    """One term of a loss: a scalar from a method's outputs and a batch.

    Attributes:
        outputs: names of the method's outputs it reads (``output`` is the fused image).
        roles: roles of the batch it reads. A set of terms none of which reads ``target`` learns without supervision.
    """

    outputs: tuple[str, ...] = ("output",)
    roles: tuple[str, ...] = ("target",)

    @abstractmethod
    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        """The term's value.

        Args:
            outputs: of the method; images [N,C,H,W], values in the method's own range.
            batch: tensors under roles, in the same range.
            mask: pixels of the target grid that count, [N,1,H,W] bool; None: all.
        """


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of values [N,C,H,W] over all channels of the pixels that count; 0 where none does."""
    if mask is None:
        return values.mean()
    weights = mask.to(values.dtype)
    return (values * weights).sum() / (weights.sum() * values.shape[1]).clamp(min=1)
