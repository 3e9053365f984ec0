"""The verb ``evaluate``: a trained checkpoint on a data set. Torch-free until it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionbench.app import check
from fusionbench.app.predict import check_checkpoint
from fusionbench.app.train import run
from fusionbench.errors import ConfigError


def evaluate(arguments: Sequence[str]) -> int:
    """``fusionbench evaluate ckpt=<file> data=<id>``; a sweep over data sets with ``-m``.

    Raises:
        UserError: a wrong key, no such checkpoint, data that do not fit it.
    """
    return run("evaluate", _check, arguments)


def _check(config: Mapping[str, Any], path: Sequence[str]) -> None:
    if config.get("ckpt") is None:
        raise ConfigError("ckpt is not given: evaluate ckpt=<run>/checkpoints/best.ckpt data=<id>")
    check_checkpoint(str(config["ckpt"]))
    check.check_values(config)
