"""A-PNN (Scarpa et al., IEEE TGRS 2018)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand
from fusionbench.networks.blocks import init_variance_scaling
from fusionbench.networks.pansharpening.pnn import INDICES, radiometric_indices

INPUTS = ("MS_PAN", "MS_PAN_NDxI")


class APNN(nn.Module):
    """A-PNN: three convolutions predict the difference to the upsampled MS; made to be adapted to its target scene.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.
    The convolutions are valid ones; the stack is extended by ``border`` px (replicated).

    Args:
        first_kernel: side of the first convolution, 9 (5 for IKONOS).
        inputs: MS_PAN | MS_PAN_NDxI (with normalised-difference indices of the MS, for 4 or 8 bands).

    Raises:
        ConfigError: unknown ``inputs``, indices for a number of bands that has none, an even kernel.

    Source: Scarpa, Vitale, Cozzolino, Target-Adaptive CNN-Based Pansharpening, IEEE TGRS 56(9), 2018.
    """

    def __init__(
        self,
        bands: int,
        ratio: int = 4,
        grid: str = "dlpan",
        first_kernel: int = 9,
        width: int = 48,
        inputs: str = "MS_PAN",
    ) -> None:
        super().__init__()
        if inputs not in INPUTS:
            raise ConfigError(f"apnn: inputs={inputs!r} is unknown; choose one of {', '.join(INPUTS)}")
        if inputs == "MS_PAN_NDxI" and bands not in INDICES:
            raise ConfigError(f"apnn: inputs=MS_PAN_NDxI is defined for 4 and 8 bands, not for {bands}; use MS_PAN")
        if first_kernel % 2 == 0 or first_kernel < 1:
            raise ConfigError(f"apnn: first_kernel={first_kernel}; an odd number, 9 or 5 as published")
        self.ratio, self.grid = ratio, grid
        self.pairs = INDICES[bands] if inputs == "MS_PAN_NDxI" else ()
        self.border = first_kernel // 2 + 4
        self.conv1 = nn.Conv2d(bands + 1 + len(self.pairs), width, first_kernel)
        self.conv2 = nn.Conv2d(width, 32, 5)
        self.conv3 = nn.Conv2d(32, bands, 5)
        init_variance_scaling(self)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = expand(lr, self.ratio, self.grid)
        channels = [lms, guide]
        if self.pairs:
            channels.append(expand(radiometric_indices(lr, self.pairs), self.ratio, self.grid))
        x = pad(torch.cat(channels, dim=1), (self.border,) * 4, mode="replicate")
        return lms + self.conv3(relu(self.conv2(relu(self.conv1(x)))))


def published_sgd(parameters: Iterable[nn.Parameter], bands: int, momentum: float = 0.9) -> torch.optim.SGD:
    """SGD for a mean-reduced loss: 1e-4 times the 17 x 17 x B values of a patch, a tenth of it for the last layer."""
    weights = list(parameters)
    rate = 1e-4 * 17 * 17 * bands
    groups: list[dict[str, Any]] = [{"params": weights[:-2]}, {"params": weights[-2:], "lr": rate / 10}]
    return torch.optim.SGD(groups, lr=rate, momentum=momentum)
