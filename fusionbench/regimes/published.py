"""Published weights: bare state dicts of the DLPan toolbox's six networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import CheckpointError

SUFFIX = ".pth"
_ALIAS = re.compile(r"backbone\.(\d+)\.(.+)")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a bare state dict, without the second names that a file gives to some of them.

    The files of PanNet and FusionNet hold each residual block twice, as ``res1`` and as ``backbone.0``.

    Raises:
        CheckpointError: the file is missing, truncated, holds something else than named tensors, or two names of one
            block with different numbers.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated and foreign files fail in a dozen ways
        raise CheckpointError(
            f"{path}: is not a file of plain tensors ({type(error).__name__}); truncated, or of another kind?"
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: named tensors are expected at the top of the file (a bare state dict)")
    weights = {}
    for name, value in content.items():
        alias = _ALIAS.fullmatch(name)
        other = f"res{int(alias[1]) + 1}.{alias[2]}" if alias else None
        if other in content:
            if not torch.equal(content[other], value):
                raise CheckpointError(f"{path}: {name} and {other} should be one tensor and hold different numbers")
        else:
            weights[str(name)] = value
    return weights


def difference(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """How weights differ in names and shapes from a network's own; empty where they fit."""
    said = [f"{name} is missing" for name in own if name not in weights]
    said += [f"{name} is unknown" for name in weights if name not in own]
    said += [
        f"{name} is {list(weights[name].shape)} instead of {list(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    return said
