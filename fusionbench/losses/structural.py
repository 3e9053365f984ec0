"""Structural similarity as a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from fusionbench.errors import ConfigError
from fusionbench.losses.term import Term


class SSIM(Term):
    """1 - SSIM, averaged over images, bands and the windows that lie inside; the mask is not used.

    Gaussian window, K1 = 0.01, K2 = 0.03. An image smaller than the window gets one of its own odd size.

    Args:
        output: the output that is compared, [N,C,H,W].
        role: what it is compared with, [N,C,H,W].
        peak: range of the values.
        window: side of the Gaussian window, odd; sigma: its deviation, px.

    Raises:
        ConfigError: an even window.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004.
    """

    def __init__(
        self, output: str = "output", role: str = "target", peak: float = 1.0, window: int = 11, sigma: float = 1.5
    ) -> None:
        super().__init__()
        if window % 2 == 0 or window < 1:
            raise ConfigError(f"loss SSIM: window={window}; an odd number")
        self.outputs, self.roles = (output,), (role,)
        self.peak, self.window, self.sigma = peak, window, sigma

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        x, y = outputs[self.outputs[0]].flatten(0, 1)[:, None], batch[self.roles[0]].flatten(0, 1)[:, None]
        side = min(self.window, *(size - 1 + size % 2 for size in x.shape[-2:]))
        place = torch.arange(side, dtype=x.dtype, device=x.device) - side // 2
        weights = (-place.square() / (2 * self.sigma**2)).exp()
        weights = weights / weights.sum()

        def mean(image: Tensor) -> Tensor:
            return conv2d(conv2d(image, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))

        mean_x, mean_y = mean(x), mean(y)
        variances = mean(x * x) - mean_x.square() + mean(y * y) - mean_y.square()
        covariance = mean(x * y) - mean_x * mean_y
        c1, c2 = (0.01 * self.peak) ** 2, (0.03 * self.peak) ** 2
        luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
        return 1 - (luminance * (2 * covariance + c2) / (variances + c2)).mean()
