"""How NonRegSRNet is fitted to a pair of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from fusionbench.networks.fitting import SceneFit, Stage, Update, linear_fall, set_rate
from fusionbench.networks.hs_ms_fusion.coupled import off_one, to_unit, total_difference
from fusionbench.networks.hs_ms_fusion.nonregsrnet import NonRegSRNet


class NonRegSRNetFit(SceneFit):
    """Unmixing and registration together, one step per pass over both images, summed losses.

    Args:
        steps: of Adam.
        hold: steps at the full rate; it then falls to 0.
        rate: of all parts but the displacement net, which has half of it.
        sum_to_one, correlation, smoothness: weights.

    Source: Zheng et al., IEEE TGRS 60, 2022.
    """

    def __init__(
        self,
        steps: int = 10_000,
        hold: int = 2000,
        rate: float = 3e-4,
        sum_to_one: float = 0.01,
        correlation: float = 0.01,
        smoothness: float = 0.01,
    ) -> None:
        self.steps, self.hold, self.rate = steps, hold, rate
        self.sum_to_one, self.correlation, self.smoothness = sum_to_one, correlation, smoothness

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take the scene."""
        super().start(network, inputs, facts)
        self.net = cast(NonRegSRNet, network)

    def stages(self) -> Sequence[Stage]:
        """One."""
        net = self.net
        whole = [p for part in (net.hs_enc, net.ms_enc, net.dec, net.psf, net.srf) for p in part.parameters()]
        groups: list[dict[str, Any]] = [{"params": whole}, {"params": list(net.unet.parameters()), "multiplier": 0.5}]
        self.optimizer = torch.optim.Adam(groups, lr=self.rate)
        return [Stage("fit", self.steps, self._step)]

    def _step(self, step: int) -> Iterator[Update]:
        set_rate(self.optimizer, self.rate * linear_fall(step, self.hold, self.steps - self.hold + 1))
        terms = self.terms()
        yield Update(self.optimizer, torch.stack(list(terms.values())).sum(), terms)
        to_unit(self.net.dec, self.net.psf)
        self.net.srf.project(single=None)

    def terms(self) -> dict[str, Tensor]:
        """What is minimised, weighted."""
        lr, guide = self.inputs["lr"], self.inputs["guide"]
        found = self.net.parts(lr, guide)
        unlike = 1 - correlation(found["moved_abundances"], found["low_abundances"])
        return {
            "hs": total_difference(lr, found["hs"]),
            "ms": total_difference(guide, found["ms"]),
            "moved": total_difference(found["moved_hs"], found["low"]),
            "sum_to_one": self.sum_to_one * (off_one(found["hs_abundances"]) + off_one(found["ms_abundances"])),
            "correlation": self.correlation * unlike,
            "smoothness": self.smoothness * roughness(found["displacement"]),
        }

    def estimates(self) -> dict[str, Tensor]:
        """Response [b,B], point spread [ratio,ratio] and the displacement of HS [2,h,w] (columns, rows; HS px)."""
        moved = self.net.parts(self.inputs["lr"], self.inputs["guide"])["displacement"][0]
        return {"srf": self.net.srf.matrix(), "psf": self.net.psf.kernel, "displacement": moved}


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Squared correlation over the channels of each pixel, as the public code has it for a window of one pixel.

    The sums over channels are divided by the window's one pixel, not by the number of channels, and a border of zeros
    is averaged with the rest.
    """
    sums = [x.sum(dim=1) for x in (a, b, a * a, b * b, a * b)]
    one, two, squares, squares_b, products = (pad(x, (1, 1, 1, 1)) for x in sums)
    cross = products - one * two
    spread = (squares - one.square()) * (squares_b - two.square())
    return (cross.square() / (spread + torch.finfo(torch.float64).eps)).mean()


def roughness(displacement: Tensor) -> Tensor:
    """Mean squared forward differences along both axes, averaged; [N,2,h,w]."""
    return (displacement.diff(dim=-2).square().mean() + displacement.diff(dim=-1).square().mean()) / 2
