"""How uSDN is fitted to a scene: HS autoencoder, start of the MS encoder, MS encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from fusionbench.networks.fitting import SceneFit, Stage, Update
from fusionbench.networks.hs_ms_fusion.usdn import USDN

EPS = 1e-8


class USDNFit(SceneFit):
    """Three stages on all pixels at once, Adam at a constant rate.

    Args:
        hs_steps: of the HS autoencoder at most; it ends where the bands' mean angle to Y is small.
        start_steps: of the MS encoder towards the HS abundances at most; it ends at a mean square of ``start_loss``.
        ms_steps: of the MS encoder on the MS image.
        angle: degrees at which the first stage ends, looked at every ``look`` steps.
        every: steps of the last stage between two steps on the angle of abundances.
        rate: of all four Adams.
        volume, sparsity: weights in the losses.

    Source: Qu et al., CVPR 2018. The public code ends the last stage by the reference; here it has a length.
    """

    def __init__(
        self,
        hs_steps: int = 500_000,
        start_steps: int = 15_000,
        ms_steps: int = 20_000,
        angle: float = 1.5,
        look: int = 50,
        start_loss: float = 1e-5,
        every: int = 20,
        rate: float = 1e-3,
        volume: float = 1e-4,
        sparsity: float = 1e-3,
    ) -> None:
        self.hs_steps, self.start_steps, self.ms_steps = hs_steps, start_steps, ms_steps
        self.angle, self.look, self.start_loss, self.every, self.rate = angle, look, start_loss, every, rate
        self.volume, self.sparsity = volume, sparsity

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Bring both images into rows of pixels without their means."""
        super().start(network, inputs, facts)
        self.net = cast(USDN, network)
        lr, guide = inputs["lr"][0], inputs["guide"][0]
        self.srf = inputs["srf"].reshape(guide.shape[0], -1)
        self.hs, self.ms = lr.flatten(1).T, guide.flatten(1).T
        self.hs_mean, self.ms_mean = self.hs.mean(0), self.ms.mean(0)
        self.hs_centred, self.ms_centred = self.hs - self.hs_mean, self.ms - self.ms_mean
        low = sampled(guide, lr.shape[-2:]).flatten(1).T
        self.ms_low = low - low.mean(0)
        self.loss = math.inf

    def stages(self) -> Sequence[Stage]:
        """HS autoencoder, then the MS encoder, first towards the abundances found, then on the MS image."""
        net = self.net
        own = list(net.ms_encoder.parameters())
        first = [net.mixing, net.spectra, *net.hs_encoder.parameters()]
        hs, start, ms, angle = (torch.optim.Adam(p, lr=self.rate) for p in (first, own, own, own))
        self.optimizers = {"hs": hs, "start": start, "ms": ms, "angle": angle}
        return [
            Stage("hs", self.hs_steps, self._hs_step, end=self._freeze, done=self._hs_done),
            Stage("start", self.start_steps, self._start_step, done=lambda step: self.loss < self.start_loss),
            Stage("ms", self.ms_steps, self._ms_step),
        ]

    def _hs_step(self, step: int) -> Iterator[Update]:
        abundances, basis = self.net.hs_abundances(self.hs_centred, self.srf), self.net.basis()
        spectra = basis + self.hs_mean
        terms = {
            "spectral": euclidean(abundances @ basis, self.hs_centred),
            "volume": self.volume * (spectra.T @ spectra).mean(),
            "sparsity": self.sparsity * entropy(abundances),
        }
        yield Update(self.optimizers["hs"], total(terms), terms)

    @torch.no_grad()
    def _hs_done(self, step: int) -> bool:
        if (step + 1) % self.look:
            return False
        found = self.net.hs_abundances(self.hs_centred, self.srf) @ self.net.basis() + self.hs_mean
        seen, known = ((255 * x).clamp(0, 255) for x in (found, self.hs))
        cosine = (seen * known).sum(0) / (seen.norm(dim=0) * known.norm(dim=0) + EPS)
        return float(cosine.clamp(-1, 1).arccos().rad2deg().mean()) <= self.angle

    @torch.no_grad()
    def _freeze(self) -> None:
        self.abundances = self.net.hs_abundances(self.hs_centred, self.srf)
        self.basis = self.net.basis()
        self.offset = linear(self.hs_mean, self.srf) - self.ms_mean

    def _start_step(self, step: int) -> Iterator[Update]:
        loss = (self.net.ms_abundances(self.ms_low) - self.abundances).square().mean()
        self.loss = float(loss.detach())
        yield Update(self.optimizers["start"], loss, {"abundances": loss})

    def _ms_step(self, step: int) -> Iterator[Update]:
        abundances = self.net.ms_abundances(self.ms_centred)
        seen = abundances @ linear(self.basis, self.srf) + self.offset  # never as B bands: much faster
        terms = {"spatial": euclidean(seen, self.ms_centred), "sparsity": self.sparsity * entropy(abundances)}
        yield Update(self.optimizers["ms"], total(terms), terms)
        if (step + 1) % self.every == 0:
            loss = angle_between(self.net.ms_abundances(self.ms_low), self.abundances)
            yield Update(self.optimizers["angle"], loss, {"angle": loss})


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of all terms."""
    return torch.stack(list(terms.values())).sum()


def sampled(image: Tensor, size: Sequence[int]) -> Tensor:
    """The pixels of [C,H,W] that lie nearest to a grid of ``size`` with common corners."""
    rows, columns = (
        (torch.arange(few) * ((many - 1) / max(few - 1, 1)) + 0.5).floor().long().to(image.device)
        for many, few in zip(image.shape[-2:], size, strict=True)
    )
    return image[:, rows][:, :, columns]


def euclidean(found: Tensor, known: Tensor) -> Tensor:
    """Mean over bands of the summed squares over pixels; [pixels, bands]."""
    return (found - known).square().sum(0).mean()


def entropy(abundances: Tensor) -> Tensor:
    """Mean of -p log p, p a pixel's abundances over their sum; [pixels, basis]."""
    share = abundances / (abundances.sum(1, keepdim=True) + EPS)
    return -(share * (share + EPS).log()).mean()


def angle_between(found: Tensor, known: Tensor) -> Tensor:
    """Mean angle, in parts of pi, of each basis spectrum's abundances over pixels; [pixels, basis]."""
    cosine = (found * known).sum(0) / (found.norm(dim=0) * known.norm(dim=0) + EPS)
    return cosine.clamp(-1 + 1e-6, 1 - 1e-6).arccos().mean() / math.pi  # inside, where the slope is finite
