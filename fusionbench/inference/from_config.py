"""``predict``: from a configuration to a fused file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fusionbench.errors import ConfigError
from fusionbench.inference.prediction import predict_files
from fusionbench.regimes.checkpoint import read_checkpoint, rebuild

log = logging.getLogger(__name__)


def predict(config: Mapping[str, Any]) -> Path:
    """Fuse ``inputs`` with the checkpoint ``ckpt`` into the file ``out`` (configs/predict.yaml), and return its path.

    Raises:
        ConfigError: a key that is missing or cannot be used.
        CheckpointError, DataError, RefusedError: see ``rebuild`` and ``predict_files``.
    """
    for key in ("ckpt", "out"):
        if config.get(key) is None:
            raise ConfigError(
                f"{key} is not given: predict ckpt=<run>/checkpoints/best.ckpt inputs.lr=.. inputs.guide=.. out=.."
            )
    inputs = {role: Path(path) for role, path in config["inputs"].items() if path is not None}
    missing = sorted({"lr", "guide"} - set(inputs))
    if missing:
        raise ConfigError(
            f"inputs.{missing[0]} is not given: the file of the {'MS' if missing[0] == 'lr' else 'PAN'} image"
        )
    path = Path(config["ckpt"])
    facts = read_checkpoint(path)["fusionbench"]
    done = predict_files(
        rebuild(path),
        facts,
        inputs,
        Path(config["out"]),
        tile=config["tile"],
        overlap=config["overlap"],
        bits=config["bits"],
        dtype=config["dtype"],
        cog=config["cog"],
        compress=config["compress"],
        grid=config["grid"],
        device=_device(config["device"]),
        progress=config["progress"],
    )
    log.info(
        "%s: %d x %d px in %d %s, %.1f s%s",
        done.path,
        done.height,
        done.width,
        done.tiles,
        "piece (whole scene)" if done.whole else f"tiles with {done.margin} px margin",
        done.seconds,
        f"; {done.invalid} px are no-data" if done.invalid else "",
    )
    return done.path


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device={name}: torch sees no GPU; use device=cpu or device=auto")
    return name
