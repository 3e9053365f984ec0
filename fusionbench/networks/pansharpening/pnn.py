"""PNN (Masi et al., Remote Sensing 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand

INPUTS = ("MS", "MS_PAN", "MS_PAN_NDxI")

# pairs (a, b) of (a - b) / (a + b), 0-based bands: WorldView order (coastal .. NIR2) and B, G, R, NIR
INDICES = {8: ((4, 7), (0, 7), (2, 3), (5, 0)), 4: ((3, 2), (1, 3))}


def radiometric_indices(ms: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
    """Normalised differences (a - b) / (a + b) of pairs of bands: [N,B,h,w] -> [N,len(pairs),h,w], in [-1, 1]."""
    return torch.stack([(ms[:, a] - ms[:, b]) / (ms[:, a] + ms[:, b]).clamp_min(1e-6) for a, b in pairs], dim=1)


class PNN(nn.Module):
    """PNN: three convolutions (9, 5, 5) from the stack of upsampled MS and PAN straight to the fused bands.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not clipped.
    The convolutions are valid ones; the stack is extended by 8 px (replicated), so that the output has the full size.
    ``inputs``: MS | MS_PAN | MS_PAN_NDxI (with normalised-difference indices of the MS, for 4 or 8 bands).

    Raises:
        ConfigError: unknown ``inputs``, or indices asked for a number of bands that has none.

    Source: Masi et al., Pansharpening by Convolutional Neural Networks, Remote Sensing 8(7):594, 2016.
    """

    border = 8

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", inputs: str = "MS_PAN") -> None:
        super().__init__()
        if inputs not in INPUTS:
            raise ConfigError(f"pnn: inputs={inputs!r} is unknown; choose one of {', '.join(INPUTS)}")
        if inputs == "MS_PAN_NDxI" and bands not in INDICES:
            raise ConfigError(f"pnn: inputs=MS_PAN_NDxI is defined for 4 and 8 bands, not for {bands}; use MS_PAN")
        self.ratio, self.grid, self.inputs = ratio, grid, inputs
        self.pairs = INDICES[bands] if inputs == "MS_PAN_NDxI" else ()
        self.conv1 = nn.Conv2d(bands + (inputs != "MS") + len(self.pairs), 64, 9)
        self.conv2 = nn.Conv2d(64, 32, 5)
        self.conv3 = nn.Conv2d(32, bands, 5)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        channels = [expand(lr, self.ratio, self.grid)]
        if self.inputs != "MS":
            channels.append(guide)
        if self.pairs:
            channels.append(expand(radiometric_indices(lr, self.pairs), self.ratio, self.grid))
        x = pad(torch.cat(channels, dim=1), (self.border,) * 4, mode="replicate")
        return self.conv3(relu(self.conv2(relu(self.conv1(x)))))


def published_rate(bands: int) -> float:
    """Rate of the published SGD recipe for a mean-reduced loss: 1e-4 times the 17 x 17 x B values of a patch."""
    return 1e-4 * 17 * 17 * bands
