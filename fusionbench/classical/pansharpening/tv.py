"""Total variation, the variational method of the field's toolbox."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening, spatial
from fusionbench.classical.pansharpening.statistics import nonnegative_least_squares
from fusionbench.errors import ConfigError
from fusionbench.imaging import imresize

OPERATORS = ("toolbox", "textbook")


class TV(Pansharpening):
    """The image of least total variation whose bands shrink to the MS and sum up to PAN, by majorisation-minimisation.

    Minimises |y - H x|^2 + lambda TV(x), y the MS and PAN, H the bilinear shrinking and the weighted sum of the bands.

    Args:
        bits: bit depth; images in [0, 1] are taken to digital numbers, whose size ``strength`` refers to.
        weights: share of every band in PAN; None: fitted, not negative, to the image at hand.
        strength: lambda.
        alpha: step; raised for images whose weights would let the iteration diverge, 1 + |weights|^2 > 2 alpha.
        c: at least that of the gradient's square.
        iterations: how many.
        operator: ``toolbox`` (the dual step as published in code, to which the settings are tuned) or ``textbook``.

    Source: Palsson, Sveinsson, Ulfarsson, A new pansharpening algorithm based on total variation, IEEE GRSL 11(1),
    2014.
    """

    def __init__(
        self,
        ratio: int = 4,
        grid: str = "dlpan",
        gains: Sequence[float] | None = None,
        pan_gain: float | None = None,
        bits: int = 11,
        weights: Sequence[float] | None = None,
        strength: float = 157.8954,
        alpha: float = 0.75,
        c: float = 8.0,
        iterations: int = 50,
        operator: str = "toolbox",
    ) -> None:
        super().__init__(ratio, grid, gains, pan_gain)
        if operator not in OPERATORS:
            raise ConfigError(f"model.module.method.operator={operator}: choose one of {', '.join(OPERATORS)}")
        self.peak = 2**bits - 1
        self.weights = None if weights is None else [float(weight) for weight in weights]
        self.strength, self.alpha, self.c = strength, alpha, c
        self.iterations, self.operator = iterations, operator

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        ms, pan = ms * self.peak, pan * self.peak
        weights = self._weights(pan, ms)
        # H'H has the largest eigenvalue 1 + |weights|^2
        alpha = ((1 + weights.square().sum(1, keepdim=True)) / 1.9).clamp(min=self.alpha)
        sides, low_sides = exp.shape[-2:], ms.shape[-2:]
        x = torch.zeros_like(exp)
        dual = torch.zeros_like(torch.stack([exp, exp]))
        for _ in range(self.iterations):
            ms_left = ms - imresize(x, low_sides, "bilinear")
            pan_left = pan - (weights * x).sum(1, keepdim=True)
            b = alpha * x + imresize(ms_left, sides, "bilinear") + weights * pan_left
            spread = 2 * alpha / self.strength * gradient(x).square().sum(0).sqrt() + self.c
            looped = gradient(transposed(dual))
            if self.operator == "textbook":
                looped = self.c * dual - looped
            dual = (gradient(b) + looped) / spread
            x = (b - transposed(dual)) / alpha
        return x / self.peak

    def _weights(self, pan: Tensor, ms: Tensor) -> Tensor:
        """[N,B,1,1]."""
        if self.weights is None:
            return nonnegative_least_squares(spatial(ms), spatial(self.shrink(pan))).mT[..., None]
        if len(self.weights) != ms.shape[1]:
            raise ConfigError(f"model.module.method.weights: {len(self.weights)} weights for {ms.shape[1]} bands")
        return ms.new_tensor(self.weights)[None, :, None, None]


def gradient(x: Tensor) -> Tensor:
    """Differences to the next column and to the next row, 0 at the far edges: [...,H,W] -> [2,...,H,W]."""
    right, down = torch.zeros_like(x), torch.zeros_like(x)
    right[..., :-1] = x.diff(dim=-1)
    down[..., :-1, :] = x.diff(dim=-2)
    return torch.stack([right, down])


def transposed(z: Tensor) -> Tensor:
    """The transpose of ``gradient``: [2,...,H,W] -> [...,H,W]."""
    x = torch.zeros_like(z[0])
    x[..., :-1] -= z[0][..., :-1]
    x[..., 1:] += z[0][..., :-1]
    x[..., :-1, :] -= z[1][..., :-1, :]
    x[..., 1:, :] += z[1][..., :-1, :]
    return x
