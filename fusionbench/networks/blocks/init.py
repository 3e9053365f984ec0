"""Initialisers that PyTorch does not have under one name."""

from __future__ import annotations

import math

from torch import nn


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
