"""Adversarial objectives: what critics and the generator want of the critics' scores (logits, no sigmoid)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from fusionbench.errors import ConfigError

Labels = tuple[float, float]


class Objective(nn.Module, ABC):
    """The game between a generator and a critic.

    Attributes:
        relativistic: the generator's term reads the scores of real images too.
    """

    relativistic = False

    def draw(self) -> Labels:
        """Labels of real and generated images for one step."""
        return 1.0, 0.0

    @abstractmethod
    def critic(self, real: Tensor, fake: Tensor, labels: Labels) -> Tensor:
        """What the critic minimises, from its scores of real and of generated images, [N,...] each."""

    @abstractmethod
    def generator(self, real: Tensor | None, fake: Tensor, labels: Labels) -> Tensor:
        """What the generator minimises; ``real`` is given where ``relativistic`` says so."""

    def penalty(
        self, critic: Callable[..., Tensor], real: Mapping[str, Tensor], fake: Mapping[str, Tensor]
    ) -> Tensor | None:
        """What is added to the critic's loss for its slope; None: nothing.

        Args:
            critic: scores of named inputs.
            real, fake: its inputs on either side; those that are one tensor on both are the condition.
        """
        return None


class Vanilla(Objective):
    """Cross-entropy; the generator's form is the one that does not saturate (Goodfellow et al., NeurIPS 2014)."""

    def critic(self, real: Tensor, fake: Tensor, labels: Labels) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, real: Tensor | None, fake: Tensor, labels: Labels) -> Tensor:
        return softplus(-fake).mean()


class LeastSquares(Objective):
    """Squared distance of the scores to labels (Mao et al., ICCV 2017).

    Args:
        real, fake: label, or the range one is drawn from uniformly for each step; the generator aims at ``real``'s.
        factor: of the critic's loss.

    Raises:
        ConfigError: a range that is none.
    """

    def __init__(
        self, real: float | Sequence[float] = 1.0, fake: float | Sequence[float] = 0.0, factor: float = 1.0
    ) -> None:
        super().__init__()
        self.real, self.fake, self.factor = _range("real", real), _range("fake", fake), factor

    def draw(self) -> Labels:
        def one(span: tuple[float, float]) -> float:
            low, high = span
            return low if low == high else low + (high - low) * torch.rand(()).item()

        return one(self.real), one(self.fake)

    def critic(self, real: Tensor, fake: Tensor, labels: Labels) -> Tensor:
        return self.factor * ((real - labels[0]).square().mean() + (fake - labels[1]).square().mean())

    def generator(self, real: Tensor | None, fake: Tensor, labels: Labels) -> Tensor:
        return (fake - labels[0]).square().mean()


def _range(key: str, label: float | Sequence[float]) -> tuple[float, float]:
    ends = [label, label] if isinstance(label, int | float) else list(label)
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ConfigError(f"model.module.objective.{key}={label}: a number, or [lowest, highest]")
    return float(ends[0]), float(ends[1])


class Wasserstein(Objective):
    """Difference of mean scores, with a penalty on slopes other than 1 (Gulrajani et al., NeurIPS 2017).

    Args:
        penalty: weight of the mean of (|gradient| - 1)^2 between real and generated images, one random point per image.
        per_pixel: the gradient's norm is taken over the channels of each pixel, not over the whole image.

    Raises:
        ConfigError: a negative weight.
    """

    def __init__(self, penalty: float = 10.0, per_pixel: bool = False) -> None:
        super().__init__()
        if penalty < 0:
            raise ConfigError(f"model.module.objective.penalty={penalty}: 0 or more")
        self.weight, self.per_pixel = penalty, per_pixel

    def critic(self, real: Tensor, fake: Tensor, labels: Labels) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, real: Tensor | None, fake: Tensor, labels: Labels) -> Tensor:
        return -fake.mean()

    def penalty(
        self, critic: Callable[..., Tensor], real: Mapping[str, Tensor], fake: Mapping[str, Tensor]
    ) -> Tensor | None:
        if self.weight == 0:
            return None
        moving = [name for name in real if real[name] is not fake[name]]
        first = real[moving[0]]
        share = torch.rand(first.shape[0], 1, 1, 1, device=first.device)
        mixed = {
            name: (share * real[name].detach() + (1 - share) * fake[name].detach()).requires_grad_() for name in moving
        }
        scores = critic(**{**real, **mixed})
        gradients = torch.autograd.grad(scores.sum(), list(mixed.values()), create_graph=True)
        if self.per_pixel:
            square = sum((g.square().sum(dim=1) for g in gradients), torch.zeros((), device=first.device))
        else:
            square = sum((g.square().flatten(1).sum(dim=1) for g in gradients), torch.zeros((), device=first.device))
        return self.weight * ((square + 1e-12).sqrt() - 1).square().mean()


class RelativisticAverage(Objective):
    """A real image shall look more real than the generated ones do on average (Jolicoeur-Martineau, ICLR 2019).

    Cross-entropy of differences to the other side's mean score, halved. Averages run over all processes' images.
    """

    relativistic = True

    def critic(self, real: Tensor, fake: Tensor, labels: Labels) -> Tensor:
        return self._halves(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor, labels: Labels) -> Tensor:
        assert real is not None  # the regime gives it where `relativistic`
        return self._halves(fake, real)

    @staticmethod
    def _halves(upper: Tensor, lower: Tensor) -> Tensor:
        above, below = upper - global_mean(lower), lower - global_mean(upper)
        return 0.5 * (
            binary_cross_entropy_with_logits(above, torch.ones_like(above))
            + binary_cross_entropy_with_logits(below, torch.zeros_like(below))
        )


def global_mean(scores: Tensor) -> Tensor:
    """Mean over the scores of all processes, differentiable in each of them."""
    mean = scores.mean()
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return mean
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(mean) / distributed.get_world_size()
