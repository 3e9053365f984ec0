"""UDALN (Li et al., IEEE GRSL 2022): three small networks for blur, response and its inverse, and their fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks import Blur, KnownResponse, Response
from fusionbench.networks.fitting import SceneFit, Stage, Update, given, linear_fall, set_rate


class UDALN(nn.Module):
    """The MS image through a pixel-wise inverse of the spectral response.

    Shapes: lr [N,B,h,w] (not looked at), guide [N,b,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1].

    Args:
        bands: B, at least b.
        guide_bands: b; channels double as often as they fit into B.
        ratio: guide pixels per HS pixel.
        srf_support: first and last HS band of each guide band; None: all bands.

    Source: Li, Zheng, Yao, Gao, Hong, Deep Unsupervised Blind Hyperspectral and Multispectral Data Fusion, IEEE GRSL
    19, 2022.
    """

    tileable = False

    def __init__(
        self, bands: int, guide_bands: int, ratio: int, srf_support: Sequence[Sequence[int]] | None = None
    ) -> None:
        super().__init__()
        if bands < guide_bands:
            raise ConfigError(f"UDALN maps few bands to many: lr has {bands}, the guide {guide_bands}")
        widths = [guide_bands * 2**k for k in range(int(math.log2(bands / guide_bands)) + 1)] + [bands]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 1), nn.LeakyReLU(0.2)]
        self.inverse = nn.Sequential(*layers)
        self.psf: nn.Module = Blur(ratio)
        support = [[0, bands - 1]] * guide_bands if srf_support is None else srf_support
        self.srf: nn.Module = Response(bands, support, initial="gaussian")

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor | None = None, psf: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.inverse(guide))


class UDALNFit(SceneFit):
    """Blur and response by their agreement, then the inverse at low resolution, then all together.

    Args:
        steps: of the three stages.
        hold: steps at the full rate of each; it then falls to 0.
        rates: of each stage's Adam; those of the first two go on in the third.
        srf, psf: ``learned`` | ``known``: as the data state them.

    Source: Li et al., IEEE GRSL 19, 2022.
    """

    def __init__(
        self,
        steps: Sequence[int] = (20_000, 30_000, 15_000),
        hold: Sequence[int] = (10_000, 20_000, 5000),
        rates: Sequence[float] = (1e-3, 1e-3, 6e-5),
        srf: str = "learned",
        psf: str = "learned",
    ) -> None:
        self.steps, self.hold, self.rates, self.srf, self.psf = steps, hold, rates, srf, psf

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take what is known from the data."""
        super().start(network, inputs, facts)
        self.net = cast(UDALN, network)
        if self.srf == "known":
            self.net.srf = KnownResponse(given(inputs, "srf"))
        if self.psf == "known":
            self.net.psf = Blur(cast(Blur, self.net.psf).ratio, kernel=given(inputs, "psf"))
        self.low_ms = inputs["guide"]

    def stages(self) -> Sequence[Stage]:
        """Three; the first has nothing to do where both degradations are known."""
        # One Adam for all: it moves what a stage's loss depends on, and keeps each value's moments for the last stage.
        self.optimizer = torch.optim.Adam(self.net.parameters())
        learned = any(True for part in (self.net.psf, self.net.srf) for _ in part.parameters())
        plan = [("degradation", self._agreement), ("inverse", self._low_resolution), ("joint", self._joint)]
        return [
            Stage(name, self.steps[n] if learned or n else 0, partial(self._step, n, terms), begin=self._hand_over)
            for n, (name, terms) in enumerate(plan)
        ]

    @torch.no_grad()
    def _hand_over(self) -> None:
        self.low_ms = self.net.psf(self.inputs["guide"])

    def _step(self, stage: int, terms: Callable[[], dict[str, Tensor]], step: int) -> Iterator[Update]:
        hold = self.hold[stage]
        set_rate(self.optimizer, self.rates[stage] * linear_fall(step, hold, self.steps[stage] - hold + 1))
        found = terms()
        yield Update(self.optimizer, torch.stack(list(found.values())).sum(), found)

    def _agreement(self) -> dict[str, Tensor]:
        net = self.net
        return {"agreement": (net.srf(self.inputs["lr"]) - net.psf(self.inputs["guide"])).abs().mean()}

    def _low_resolution(self) -> dict[str, Tensor]:
        return {"low": (self.net.inverse(self.low_ms) - self.inputs["lr"]).abs().mean()}

    def _joint(self) -> dict[str, Tensor]:
        net, lr, guide = self.net, self.inputs["lr"], self.inputs["guide"]
        output, low = net.inverse(guide), net.psf(guide)
        return {
            "agreement": (net.srf(lr) - low).abs().mean(),
            "low": (net.inverse(low) - lr).abs().mean(),
            "spatial": (net.srf(output) - guide).abs().mean(),
            "spectral": (net.psf(output) - lr).abs().mean(),
        }

    def estimates(self) -> dict[str, Tensor]:
        """Response [b,B] and point spread [k,k]."""
        return {"srf": cast(Response, self.net.srf).matrix(), "psf": cast(Blur, self.net.psf).kernel}
