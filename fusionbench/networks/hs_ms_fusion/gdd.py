"""GDD (Uezato et al., ECCV 2020) for HS-MS pairs: the guided decoder, and how it is fitted to a scene."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from fusionbench.networks.blocks import GuidedDecoder, respond
from fusionbench.networks.fitting import SceneFit, Snapshots, Stage, Update


class GDD(GuidedDecoder):
    """Guided deep decoder: a small random code grows into the fused image, gated at each scale by features of MS.

    Shapes: lr [N,B,h,w] and srf [b,B] (not looked at: they enter by the loss), guide [N,b,H,W] -> [N,B,H,W]; values
    scaled to [0, 1], not clipped.

    Source: Uezato, Hong, Yokoya, He, Guided Deep Decoder: Unsupervised Image Pair Fusion, ECCV 2020.
    """

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor) -> Tensor:
        return self.decode(guide, self.code(guide))


class GuidedFit(SceneFit):
    """Fits the decoder's weights to the pair; a loss that leaps takes them ten steps back.

    Args:
        steps: of Adam.
        rate: of Adam.
        noise: deviation of what is added to the code, anew at each step.
        leap: by how much the loss may lie above its mean of the steps before.
        settle: recorded steps before the guard watches.
        repeat: steps after going back that are not recorded.
    """

    BACK, KEPT, MEAN = 10, 51, (40, 20)

    def __init__(
        self, steps: int, rate: float, noise: float, leap: float, settle: int = 1000, repeat: int = 150
    ) -> None:
        self.steps, self.rate, self.noise = steps, rate, noise
        self.leap, self.settle, self.repeat = leap, settle, repeat

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Draw the code."""
        super().start(network, inputs, facts)
        self.decoder = cast(GuidedDecoder, network)
        self.still = self.decoder.code(inputs["guide"])
        self.code = self.still
        self.recorded: list[float] = []  # losses of the steps that count
        self.back: int | None = None  # where to continue counting after a leap
        self.skip = 0
        self.snapshots = Snapshots(network, self.KEPT)

    def stages(self) -> Sequence[Stage]:
        """One."""
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=self.rate)
        return [Stage("fit", self.steps, self._step, adjust=self._guard)]

    def _step(self, step: int) -> Iterator[Update]:
        self.code = self.still + self.noise * torch.randn_like(self.still)
        terms = self.terms(self.decoder.decode(self.inputs["guide"], self.code))
        yield Update(self.optimizer, torch.stack(list(terms.values())).sum(), terms)

    @abstractmethod
    def terms(self, output: Tensor) -> dict[str, Tensor]:
        """What is minimised, weighted."""

    def _guard(self, update: Update) -> None:
        """Record the weights and the loss, or go back; the optimiser moves on with the gradient it has."""
        loss, count = float(update.loss.detach()), len(self.recorded)
        first, last = self.MEAN
        mean = sum(self.recorded[-first:-last]) / (first - last) if count > first else 0.0
        if count > self.settle and loss - mean > self.leap:
            if self.back is None:
                self.back, self.skip = max(count - self.BACK, self.snapshots.oldest), self.repeat
            self.snapshots.restore(self.back)
            return
        if self.back is not None:
            del self.recorded[self.back :]
            self.back = None
        if self.skip > 0:
            self.skip -= 1
            return
        self.snapshots.save(len(self.recorded))
        self.recorded.append(loss)

    def result(self) -> Tensor:
        """Of the last noisy code."""
        return self.decoder.decode(self.inputs["guide"], self.code)


class GDDFit(GuidedFit):
    """Fit to an HS-MS pair with a known response, HS pixels taken as means over their blocks.

    Args:
        steps, rate, noise, leap: see ``GuidedFit``.
        weight: of the spectral term.
    """

    def __init__(
        self,
        steps: int = 20_001,
        rate: float = 0.01,
        noise: float = 0.03,
        weight: float = 0.1,
        leap: float = 1e-5,
        settle: int = 1000,
    ) -> None:
        super().__init__(steps, rate, noise, leap, settle)
        self.weight = weight

    def terms(self, output: Tensor) -> dict[str, Tensor]:
        """HS against block means, and MS against the response to the result; weighted."""
        lr, guide = self.inputs["lr"], self.inputs["guide"]
        low = avg_pool2d(output, guide.shape[-1] // lr.shape[-1])
        seen = respond(output, self.inputs["srf"])
        return {"spectral": self.weight * (low - lr).square().mean(), "spatial": (seen - guide).square().mean()}
