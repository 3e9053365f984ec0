"""Partial replacement adaptive component substitution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, spatial, with_ones
from fusionbench.classical.pansharpening.statistics import (
    combine,
    corr,
    least_squares,
    matched,
    mean,
    quotient,
    std,
)


class PRACS(Pansharpening):
    """A component of its own for every band, in which PAN replaces the band as far as the two correlate.

    Args:
        beta: strength of the injected detail.

    Source: Choi, Yu, Kim, A new adaptive component-substitution-based satellite image fusion by using partial
    replacement, IEEE TGRS 49(1), 2011.
    """

    def __init__(
        self,
        ratio: int = 4,
        grid: str = "dlpan",
        gains: Sequence[float] | None = None,
        pan_gain: float | None = None,
        beta: float = 0.95,
    ) -> None:
        super().__init__(ratio, grid, gains, pan_gain)
        self.beta = beta

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        # MS with PAN's mean and spread
        like_pan = matched(exp, pan).clamp(min=0)
        columns = with_ones(like_pan)

        def fitted(image: Tensor) -> Tensor:
            return combine(least_squares(spatial(columns), spatial(self.blur(image))), columns)

        intensity = fitted(pan)
        share = corr(intensity, like_pan)
        high = share * pan + (1 - share) * like_pan
        low = fitted(high)
        detail = high - low
        detail = detail - mean(detail)
        spread = std(exp)
        weight = self.beta * corr(low, exp) * quotient(spread, spread.mean(1, keepdim=True))
        local = 1 - (1 - corr(intensity, exp) * quotient(exp, low)).abs()
        return exp + weight * local * detail
