"""How ZeRGAN is fitted to a scene: scale by scale, against the critic of that scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, mse_loss

from fusionbench.errors import ConfigError
from fusionbench.losses import Wasserstein
from fusionbench.networks.fitting import SceneFit, Stage, Update
from fusionbench.networks.pansharpening.zergan import ZeRGAN, ZeRGANCritics, resize

GRADIENT_TERMS = ("differentiable", "inert")
BLUR = (
    (0.0265, 0.0354, 0.0390, 0.0354, 0.0265),
    (0.0354, 0.0473, 0.0520, 0.0473, 0.0354),
    (0.0390, 0.0520, 0.0573, 0.0520, 0.0390),
    (0.0354, 0.0473, 0.0520, 0.0473, 0.0354),
    (0.0265, 0.0354, 0.0390, 0.0354, 0.0265),
)


class ZeRGANFit(SceneFit):
    """Zero-reference training of ZeRGAN's stages in turn, from the coarsest; a step is one epoch of the paper.

    Args:
        epochs_per_scale: steps of each stage (published 5000).
        drop_at: step from which both learn at a hundredth of the rate (published 1600).
        turns: updates of the critic, then of the generator, in a step.
        rate: of both Adams, betas 0.5 and 0.999.
        gradient_term: ``differentiable`` (the paper's intent) | ``inert`` (the public code computes it outside of the
            graph, so that it moves nothing).

    Raises:
        ConfigError: an unknown ``gradient_term``.

    Source: Diao et al., IEEE TNNLS, 2022.
    """

    def __init__(
        self,
        epochs_per_scale: int = 5000,
        drop_at: int = 1600,
        turns: int = 3,
        rate: float = 5e-4,
        gradient_term: str = "differentiable",
    ) -> None:
        if gradient_term not in GRADIENT_TERMS:
            raise ConfigError(
                f"model.module.fit.gradient_term={gradient_term}: choose one of {', '.join(GRADIENT_TERMS)}"
            )
        self.epochs, self.drop_at, self.turns, self.rate = epochs_per_scale, drop_at, turns, rate
        self.gradient_term = gradient_term
        self.objective = Wasserstein(penalty=0.1, per_pixel=True)

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Make the critics and bring both images to [-1, 1]."""
        super().start(network, inputs, facts)
        self.generator = cast(ZeRGAN, network)
        self.critics = ZeRGANCritics(self.generator.scales).to(inputs["lr"].device)
        self.ms, self.pan = self.generator.to_range(inputs["lr"]), self.generator.to_range(inputs["guide"])
        self.previous = self.ms

    def stages(self) -> Sequence[Stage]:
        """One for each scale."""
        return [self._stage(scale) for scale in range(self.generator.scales)]

    def _stage(self, scale: int) -> Stage:
        modules = (self.critics.stages[scale], self.generator.stages[scale])
        optimizers = [torch.optim.Adam(m.parameters(), lr=self.rate, betas=(0.5, 0.999)) for m in modules]
        return Stage(
            f"scale {scale}",
            self.epochs,
            partial(self._step, scale, optimizers),
            end=partial(self._hand_over, scale),
        )

    def _step(self, scale: int, optimizers: list[torch.optim.Adam], step: int) -> Iterator[Update]:
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = self.rate * (0.01 if step >= self.drop_at else 1.0)
        pan, ms = self.generator.inputs(scale, self.previous, self.pan)
        generator, critic = self.generator.stages[scale], partial(self.critics, stage=scale)
        for _ in range(self.turns):
            with torch.no_grad():
                fake = generator(pan, ms).mean(dim=1, keepdim=True)
            loss = self.objective.critic(critic(pan), critic(fake), (1.0, 0.0))
            loss = loss + cast(Tensor, self.objective.penalty(critic, {"image": pan}, {"image": fake}))
            yield Update(optimizers[0], loss, {"critic": loss})
        for _ in range(self.turns):
            fused = generator(pan, ms)
            terms = self.terms(fused, pan)
            judged = self.objective.generator(None, critic(fused.mean(dim=1, keepdim=True)), (1.0, 0.0))
            yield Update(optimizers[1], judged + sum(terms.values()), {"adversarial": judged, **terms})

    def terms(self, fused: Tensor, pan: Tensor) -> dict[str, Tensor]:
        """What the generator of a scale minimises beside the critic's judgement, weighted.

        Args:
            fused: [1,B,h',w'] of the scale, in [-1, 1].
            pan: [1,1,h',w'] of the same scale.
        """
        intensity = fused.mean(dim=1, keepdim=True)
        low = resize(_blurred(fused), (self.ms.shape[-2], self.ms.shape[-1]))
        read = intensity.detach() if self.gradient_term == "inert" else intensity
        slopes = [
            mse_loss(a, b)
            for a, b in zip(torch.gradient(read, dim=(-2, -1)), torch.gradient(pan, dim=(-2, -1)), strict=True)
        ]
        colour = (fused.mean(dim=(-2, -1)) - self.ms.mean(dim=(-2, -1))).square().sum()
        return {
            "spatial": 300 * mse_loss(intensity, pan),
            "spectral": 30 * mse_loss(low, self.ms),
            "gradient": 10 * (slopes[0] + slopes[1]),
            "colour": 100 * colour,
        }

    def _hand_over(self, scale: int) -> None:
        with torch.no_grad():
            self.previous = self.generator.run(scale, self.previous, self.pan)


def _blurred(x: Tensor) -> Tensor:
    """Each band through the fixed 5x5 blur; zeros beyond the border."""
    kernel = x.new_tensor(BLUR).expand(x.shape[1], 1, 5, 5)
    return conv2d(x, kernel, padding=2, groups=x.shape[1])
