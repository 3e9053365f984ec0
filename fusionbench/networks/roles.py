"""What a module takes from a batch: the roles that its ``forward`` names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import DataError

NO_INPUTS = ("target", "valid", "labels", "classes")  # what a method is judged by, and where


def device_of(batch: Mapping[str, Any]) -> torch.device:
    """Where a batch's tensors are; the CPU for one without tensors."""
    return next((value.device for value in batch.values() if isinstance(value, Tensor)), torch.device("cpu"))


class Roles:
    """Which roles a network takes, by the signature of its ``forward``."""

    def __init__(self, required: tuple[str, ...], optional: tuple[str, ...], further: bool) -> None:
        self.required, self.optional, self.further = required, optional, further

    @classmethod
    def of(cls, network: nn.Module) -> Roles:
        """From the signature: parameters without default are required, ``**modalities`` takes every further tensor."""
        parameters = inspect.signature(network.forward).parameters.values()
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return cls(
            tuple(p.name for p in named if p.default is p.empty),
            tuple(p.name for p in named if p.default is not p.empty),
            any(p.kind is p.VAR_KEYWORD for p in parameters),
        )

    def take(
        self,
        batch: Mapping[str, Any],
        bind: Mapping[str, str] | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
        offered: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """The arguments of ``forward`` from a batch.

        Args:
            batch: tensors under roles.
            bind: role of ``forward`` -> role of the batch, where they differ.
            memory_format: of images [N,C,H,W].
            offered: roles of the data set, which ``**modalities`` takes; None: every further map or image.

        Raises:
            DataError: a required role that the batch does not have.
        """
        bind = bind or {}
        names = [*self.required, *(role for role in self.optional if bind.get(role, role) in batch)]
        if self.further:
            maps = [k for k, v in batch.items() if isinstance(v, Tensor) and v.ndim > 2]
            rest = maps if offered is None else offered
            names += [role for role in rest if role not in (*names, *NO_INPUTS)]
        taken = {}
        for role in names:
            value = batch.get(bind.get(role, role))
            if value is None:
                raise DataError(f"the method needs {role}, the batch has {', '.join(batch)}")
            taken[role] = value.contiguous(memory_format=memory_format) if value.ndim == 4 else value
        return taken
