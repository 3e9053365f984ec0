"""Pgnet: abundances of the HS image, sharpened in two steps by injections that PAN's distance from them opens."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, relu, sigmoid

from fusionbench.errors import ConfigError


class Pgnet(nn.Module):
    """Li, Zhang, Tian, Ma, Zhou, Wang, Unmixing-Based PAN-Guided Fusion Network for Hyperspectral Imagery, IEEE TGRS
    60, 2022.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1]; borders are circular.

    Args:
        bands: B.
        ratio: a square (4, 16); as published 16, in two steps of 4.
        endmembers: maps between encoder and decoder.

    Raises:
        ConfigError: a ratio that is no square.
    """

    def __init__(self, bands: int, ratio: int = 16, endmembers: int = 20) -> None:
        super().__init__()
        self.step = math.isqrt(ratio)
        if self.step**2 != ratio:
            raise ConfigError(f"Pgnet goes to the fine grid in two equal steps: ratio {ratio} is no square")
        self.gates = nn.ParameterList([nn.Parameter(torch.tensor(value)) for value in (1.0, -1.0, 0.3, 0.3)])
        self.encode = _unit(bands, endmembers, 1)
        self.first = _Step(endmembers, _strides(self.step))
        self.second = _Step(endmembers, (1, 1))
        self.injections = nn.ModuleList(_Injection(endmembers) for _ in range(4))
        self.attentions = nn.ModuleList(_unit(endmembers, endmembers, 3) for _ in range(4))
        self.mixes = nn.ModuleList(_unit(endmembers, endmembers, 1) for _ in range(4))
        self.reduce = _unit(4 * endmembers, endmembers, 3)
        self.decode = nn.Sequential(*_unit(endmembers, 64, 1), nn.Conv2d(64, bands, 1), nn.BatchNorm2d(bands))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        maps = self.encode(lr)
        middle = [self.step * n for n in lr.shape[-2:]]
        whole = interpolate(maps, size=guide.shape[-2:], mode="bicubic")
        x = self.first(maps, guide, middle, self.gates)
        x = self.second(x, guide, list(guide.shape[-2:]), self.gates) + whole
        kept = []
        for inject, attend, mix in zip(self.injections, self.attentions, self.mixes, strict=True):
            t = inject(guide, x, self.gates)
            t = t * sigmoid(attend(t)) + x
            x = mix(t) + x
            kept.append(x)
        decoded: Tensor = self.decode(self.reduce(torch.cat(kept, 1)) + whole)
        return decoded


def _strides(step: int) -> tuple[int, int]:
    """Two strides whose product is the step, as even as can be."""
    first = next(n for n in range(math.isqrt(step), 0, -1) if step % n == 0)
    return step // first, first


def _unit(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="circular")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01))


class _Injection(nn.Module):
    """Detail of PAN, more of it where PAN lies far from the spread of the abundances."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.scale = nn.Conv2d(1, maps, 3, padding=1, padding_mode="circular")
        self.add = nn.Conv2d(1, maps, 3, padding=1, padding_mode="circular")

    def forward(self, pan: Tensor, x: Tensor, gates: nn.ParameterList) -> Tensor:
        w1, w2, b1, b2 = gates
        spread = x.std(1, keepdim=True)
        gate = sigmoid(relu(pan - w1 * spread - b1)) + sigmoid(relu(w2 * spread + b2 - pan))
        scale, add = leaky_relu(self.scale(pan)), leaky_relu(self.add(pan))
        return scale * gate * x + add * gate + x


class _Step(nn.Module):
    """Abundances to a finer grid, with PAN brought to it."""

    def __init__(self, maps: int, strides: tuple[int, int]) -> None:
        super().__init__()
        self.mix = _unit(maps, maps, 1)
        self.pan = nn.Sequential(
            nn.Conv2d(1, 32, 3, strides[0], 1, padding_mode="circular"), nn.BatchNorm2d(32), nn.LeakyReLU(0.01),
            nn.Conv2d(32, 1, 3, strides[1], 1, padding_mode="circular"), nn.BatchNorm2d(1), nn.LeakyReLU(0.01),
        )  # fmt: skip
        self.inject = _Injection(maps)

    def forward(self, x: Tensor, pan: Tensor, size: list[int], gates: nn.ParameterList) -> Tensor:
        x = self.mix(interpolate(x, size=size, mode="bicubic"))
        found: Tensor = self.inject(self.pan(pan), x, gates)
        return found
