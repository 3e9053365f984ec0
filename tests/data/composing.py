"""Data configurations as the app composes and settles them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf, open_dict

from fusionbench.app.compose import composed
from fusionbench.building import build
from fusionbench.data.locate import resolve_source


def config(data: str, folder: Path, *overrides: str) -> Any:
    """The composed configuration of a data set whose files lie under `folder`, references unresolved."""
    cfg = composed(
        "check",
        [
            f"data={data}",
            f"paths.data={folder}",
            f"paths.cache={folder}/cache",
            *overrides,
        ],
    )
    with open_dict(cfg):
        cfg.paths.run = None
    return cfg


def module(data: str, folder: Path, *overrides: str) -> Any:
    """The data module of a data set."""
    cfg = config(data, folder, *overrides)
    with open_dict(cfg):
        cfg.data = OmegaConf.merge(cfg.data, resolve_source(cfg))
    return build(OmegaConf.to_container(cfg, resolve=True)["data"]["module"], "data.module")
