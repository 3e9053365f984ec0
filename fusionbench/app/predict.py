"""The verb ``predict``: a scene of any size through a checkpoint. Torch-free until it computes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fusionbench.app import compose, screen
from fusionbench.app.check import check_folder
from fusionbench.errors import CheckpointError, ConfigError, DataNotFoundError

log = logging.getLogger(__name__)


def predict(arguments: Sequence[str]) -> int:
    """``fusionbench predict ckpt=.. inputs.lr=.. inputs.guide=.. out=..``.

    Raises:
        UserError: a key is missing or wrong, a file is missing, the inputs do not fit the checkpoint.
    """
    plain: Any = OmegaConf.to_container(compose.composed("predict", arguments), resolve=True)
    config: dict[str, Any] = dict(plain)
    _check(config)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("fusionbench").setLevel(logging.INFO)

    screen.show(str(_fuse(config)))
    return 0


def _fuse(config: Mapping[str, Any]) -> Path:
    """Fuse the inputs tile by tile and return the file written."""
    from fusionbench.inference import predict_files
    from fusionbench.regimes import read_checkpoint, rebuild

    path = Path(str(config["ckpt"])).expanduser()
    inputs = {role: Path(str(file)).expanduser() for role, file in config["inputs"].items() if file is not None}
    settings = {key: config[key] for key in ("tile", "overlap", "bits", "dtype", "cog", "compress", "grid", "progress")}
    out = Path(str(config["out"])).expanduser()
    facts = read_checkpoint(path)["fusionbench"]
    done = predict_files(rebuild(path), facts, inputs, out, device=_device(str(config["device"])), **settings)
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
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device={name}: torch sees no GPU; use device=cpu or device=auto")
    return name


def _check(config: Mapping[str, Any]) -> None:
    usage = "predict ckpt=<run>/checkpoints/best.ckpt inputs.lr=<MS file> inputs.guide=<PAN file> out=<file.tif>"
    for key in ("ckpt", "out"):
        if config.get(key) is None:
            raise ConfigError(f"{key} is not given: {usage}")
    check_checkpoint(str(config["ckpt"]))
    given = {role: path for role, path in config["inputs"].items() if path is not None}
    for role, what in (("lr", "MS"), ("guide", "PAN")):
        if role not in given:
            raise ConfigError(f"inputs.{role} is not given, the file of the {what} image: {usage}")
    for role, path in given.items():
        if not Path(str(path)).expanduser().is_file():
            raise DataNotFoundError(f"inputs.{role}={path}: there is no such file")
    out = Path(str(config["out"])).expanduser()
    if out.is_dir():
        raise ConfigError(f"out={out}: is a folder; give the name of a file, e.g. out={out / 'fused.tif'}")
    check_folder(out.absolute().parent, free_bytes=0)


def check_checkpoint(path: str) -> None:
    """Whether a checkpoint file is there at all.

    Raises:
        CheckpointError: it is not, or it is a folder.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        best = file / "checkpoints" / "best.ckpt"
        raise CheckpointError(
            f"ckpt={path}: is a folder" + (f"; its checkpoint is ckpt={best}" if best.is_file() else "")
        )
    if not file.is_file():
        raise CheckpointError(f"ckpt={path}: there is no such file; a run's checkpoints lie in <run>/checkpoints/")
