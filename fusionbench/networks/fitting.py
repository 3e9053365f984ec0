"""What a method that is fitted to each scene consists of: stages of steps, each step one or more updates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import DataError
from fusionbench.networks.blocks import response_support

# What a network's constructor may name to be built for the scene, and how it is found in the scene's inputs
SCENE_ARGUMENTS: Mapping[str, Callable[[Mapping[str, Tensor]], Any]] = {
    "lr_size": lambda inputs: list(inputs["lr"].shape[-2:]),  # rows, columns
    "srf_support": lambda inputs: response_support(inputs["srf"]) if "srf" in inputs else None,  # None: all bands
}


@dataclass(frozen=True)
class Update:
    """One move of one optimiser down one loss.

    Args:
        optimizer: moves its own values and no others, whatever the loss depends on.
        loss: a scalar, mean or sum as the method has it.
        terms: what the curves show beside it.
    """

    optimizer: torch.optim.Optimizer
    loss: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)


def _nothing() -> None:
    return None


def _no_change(update: Update) -> None:
    return None


def _never(step: int) -> bool:
    return False


@dataclass(frozen=True)
class Stage:
    """A part of a fit; one without updates is a solver that does its work in ``begin``.

    Args:
        name: shown in the progress and in the curves.
        steps: how many at most.
        updates: the updates of a step (counted from 0). Each is carried out when it is yielded: what stands before a
            ``yield`` happens before that update (fresh noise, new inputs), what stands behind it afterwards (schedules,
            projections).
        begin, end: called before the first and behind the last step.
        adjust: called between the gradient and the optimiser's move (clipping, going back to an earlier state).
        done: whether the stage ends behind this step; it may look at inputs and losses, there is nothing else.
    """

    name: str
    steps: int
    updates: Callable[[int], Iterator[Update]]
    begin: Callable[[], None] = _nothing
    end: Callable[[], None] = _nothing
    adjust: Callable[[Update], None] = _no_change
    done: Callable[[int], bool] = _never


class SceneFit(ABC):
    """How a method is fitted to one scene; a new object for every scene, on tensors alone.

    ``start`` gets fresh weights and the scene, then the stages are carried out in order, then ``result`` is the fused
    image. All randomness comes from torch's generators, which are seeded for the scene. No reference is ever given.

    Attributes:
        needs_start: the method begins from the weights of a trained checkpoint (``model.module.start``).
    """

    needs_start = False

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take the scene; a method builds here what depends on it (its own networks, kernels, optimisers).

        Args:
            network: newly made, or with the checkpoint's weights; in training mode, in which it stays.
            inputs: roles of the network's ``forward``, [1,C,H,W], in the method's range of values.
            facts: metadata of the scene, as far as the data set has them: ``scene``, ``ratio``, ``sensor`` ...
        """
        self.network, self.inputs, self.facts = network, dict(inputs), dict(facts)

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """What is done, in order; called once, after ``start``."""

    def result(self) -> Tensor:
        """The fused image [1,B,H,W] in the method's range; called without gradient."""
        found = self.network(**self.inputs)
        image: Tensor = found["output"] if isinstance(found, Mapping) else found
        return image

    def estimates(self) -> dict[str, Tensor]:
        """What the fit found out about how the images were made, e.g. ``srf`` [b,B] and ``psf`` [k,k]; called at the
        end, without gradient.
        """
        return {}


def given(inputs: Mapping[str, Tensor], role: str) -> Tensor:
    """An input that a setting of the fit declares known; DataError where the data do not tell it."""
    if role not in inputs:
        raise DataError(f"model.module.fit.{role}=known: the data set does not tell {role}; use {role}=learned")
    return inputs[role]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Every group's rate: ``rate`` times the group's own ``multiplier``, where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("multiplier", 1.0)


def linear_fall(step: int, hold: int, length: int) -> float:
    """Factor on the rate in a step (counted from 0): 1 for ``hold`` steps, then down to 0 in ``length`` more."""
    return max(0.0, 1 - max(0, step + 1 - hold) / length)


class Snapshots:
    """Copies of a module's trainable values by number, the newest ``keep`` of them.

    Args:
        module: whose values; buffers and optimiser states are not copied.
        keep: how many at most.
    """

    def __init__(self, module: nn.Module, keep: int) -> None:
        self.module, self.keep = module, keep
        self._kept: dict[int, list[Tensor]] = {}

    @property
    def oldest(self) -> int:
        """The smallest number that is kept; ValueError where none is."""
        return min(self._kept)

    def save(self, number: int) -> None:
        """Copy the values as they are; the oldest copy makes room."""
        room = self._kept.pop(number, None) or (
            self._kept.pop(min(self._kept)) if len(self._kept) >= self.keep else None
        )
        values = [p.detach() for p in self.module.parameters()]
        if room is None:
            room = [value.clone() for value in values]
        else:
            torch._foreach_copy_(room, values)
        self._kept[number] = room

    def restore(self, number: int) -> None:
        """Put the copied values back; KeyError where that number is not kept any more."""
        with torch.no_grad():
            torch._foreach_copy_(list(self.module.parameters()), self._kept[number])
