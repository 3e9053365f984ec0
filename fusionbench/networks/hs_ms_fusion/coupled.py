"""What coupled unmixing networks share: pixel-wise layers between 0 and 1, summed losses, the common schedule."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 1, bias: bool = True) -> nn.Conv2d:
    """Zero-padded, Kaiming normal by fan-in, no offset to begin with."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Clamp(nn.Module):
    """To [0, 1]; no gradient outside."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1)


def encoder(inputs: int, widths: Sequence[int], kernels: Sequence[int] = (1, 1, 1)) -> nn.Sequential:
    """Layers of the given widths, each followed by LReLU 0.2."""
    layers: list[nn.Module] = []
    for width, kernel in zip(widths, kernels, strict=True):
        layers += [conv(inputs, width, kernel), nn.LeakyReLU(0.2)]
        inputs = width
    return nn.Sequential(*layers)


def bounded(inputs: int, outputs: int, bias: bool = True) -> nn.Sequential:
    """One pixel-wise layer, clamped to [0, 1]: abundances or, without offset, the mixture of end-members."""
    return nn.Sequential(conv(inputs, outputs, bias=bias), Clamp())


def total_difference(a: Tensor, b: Tensor) -> Tensor:
    """Sum of absolute differences."""
    return (a - b).abs().sum()


def off_one(abundances: Tensor) -> Tensor:
    """Sum over pixels of how far abundances [N,K,H,W] add up from one."""
    return (abundances.sum(dim=1) - 1).abs().sum()


def from_uniform(abundances: Tensor) -> Tensor:
    """Two-sided divergence of uniform abundances from the softmax of [N,K,H,W], summed over pixels and K."""
    share = abundances.sum(dim=0).softmax(dim=0)
    uniform = torch.full_like(share, 1 / len(share))
    kept = uniform * (uniform / share).log() + (1 - uniform) * ((1 - uniform) / (1 - share)).log()
    return kept.sum()


@torch.no_grad()
def to_unit(*layers: nn.Module) -> None:
    """Clamp all weights of the layers to [0, 1]."""
    for layer in layers:
        for weight in layer.parameters():
            weight.clamp_(0, 1)
