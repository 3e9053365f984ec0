"""One critic of an adversarial regime: its network, what it is shown, and how it learns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError


class Critic(nn.Module):
    """A discriminator network and its place in the game.

    Args:
        network: ``forward(**images)`` gives scores without sigmoid; its parameters name what it sees.
        optimizer: partial of an optimiser.
        real, fake: parameter -> name of the tensor it gets on either side; one that is not named gets the tensor of its
            own name, on both sides.
        scheduler: partial of a learning rate scheduler, or None.
        weight: of the generator's adversarial term.
        feature_weight: of the mean absolute difference of ``network.features`` between the sides; 0: no such term.
        clip_norm: largest norm of the gradient; None: not clipped.

    Raises:
        ConfigError: ``real`` or ``fake`` name no parameter, nothing tells the sides apart, ``features`` are missing.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        real: Mapping[str, str] | None = None,
        fake: Mapping[str, str] | None = None,
        scheduler: Callable[..., Any] | None = None,
        weight: float = 1.0,
        feature_weight: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__()
        names = list(inspect.signature(network.forward).parameters)
        real, fake = dict(real or {}), dict(fake or {})
        for side, given in (("real", real), ("fake", fake)):
            unknown = [name for name in given if name not in names]
            if unknown:
                raise ConfigError(f"critic {side}.{unknown[0]}: {type(network).__name__} takes {', '.join(names)}")
        self.real = {name: real.get(name, name) for name in names}
        self.fake = {name: fake.get(name, name) for name in names}
        if self.real == self.fake:
            raise ConfigError(f"critic {type(network).__name__}: real and fake show it the same images")
        if feature_weight and not hasattr(network, "features"):
            raise ConfigError(f"critic feature_weight={feature_weight}: {type(network).__name__} has no features")
        self.network = network
        self.optimizer, self.scheduler = optimizer, scheduler
        self.weight, self.feature_weight, self.clip_norm = weight, feature_weight, clip_norm

    def forward(self, **images: Tensor) -> Tensor:
        return self.network(**images)

    def sides(self, known: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Its inputs on the real and on the generated side.

        Raises:
            DataError: a tensor that is not there.
        """
        absent = sorted({name for name in (*self.real.values(), *self.fake.values()) if name not in known})
        if absent:
            raise DataError(f"a critic reads {', '.join(absent)}, in training there are {', '.join(known)}")
        real = {name: known[key] for name, key in self.real.items()}
        return real, {name: known[key] for name, key in self.fake.items()}

    def distance(self, real: Mapping[str, Tensor], fake: Mapping[str, Tensor]) -> Tensor:
        """Mean absolute difference of its features; those of the real side are taken as they are."""
        features: Callable[..., Tensor] = self.network.features  # type: ignore[assignment]
        with torch.no_grad():
            wanted = features(**real)
        return (features(**fake) - wanted).abs().mean()
