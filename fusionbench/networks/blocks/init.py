"""Initialisers that PyTorch does not have under one name."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn


def init_variance_scaling(module: nn.Module, scale: float = 2.6) -> None:
    """Truncated normal (cut at two deviations) of variance ``scale / fan_in`` for every Conv2d, zero bias.

    The default 2.6 = 1.3 * 2 is TensorFlow's factor-2 variance scaling: 1.3 makes up for the cut tails.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            std = math.sqrt(scale / layer.weight[0].numel())
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@torch.no_grad()
def wake(conv: nn.Conv2d, inputs: Tensor, least: float = 0.05) -> None:
    """Raise the biases of a convolution before a ReLU until each channel reaches ``least`` amid every input.

    A channel that starts below zero everywhere has no gradient and would stay dead. ``inputs``: [N,C,H,W], examples;
    the response is taken in the middle, away from the padding.
    """
    response = conv(inputs)
    lowest = response[..., response.shape[-2] // 2, response.shape[-1] // 2].amin(dim=0)
    cast(nn.Parameter, conv.bias).add_((least - lowest).clamp_min(0))


def init_normal(module: nn.Module, std: float = 0.02, *, truncated: bool = False, scales: bool = False) -> None:
    """Normal(0, std) weights of every (transposed) Conv2d and Linear, zero bias.

    Args:
        module: all its layers are set.
        std: standard deviation.
        truncated: cut at two deviations.
        scales: batch norm scales are drawn around 1 with the same deviation.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if truncated:
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            else:
                nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif scales and isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.normal_(layer.weight, 1.0, std)
            nn.init.zeros_(layer.bias)
