"""Every model configuration that has a network, and how to build its parts without a data set."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from fusionbench.building import build, resolve_target

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@cache
def model_config(method: str) -> DictConfig:
    """configs/model/<method>.yaml as written, interpolations unresolved."""
    config = OmegaConf.load(CONFIGS / "model" / f"{method}.yaml")
    assert isinstance(config, DictConfig)
    return config


def trained_methods() -> list[str]:
    """Ids of all methods with something to train, found by reading the cards."""
    names = sorted(p.stem for p in (CONFIGS / "model").glob("*.yaml") if not p.stem.startswith("_"))
    return [name for name in names if model_config(name).card.regime != "classical"]


def pansharpening_methods() -> list[str]:
    return [name for name in trained_methods() if model_config(name).card.task == "pansharpening"]


def resolved(
    method: str, bands: int = 4, ratio: int = 4, grid: str = "dlpan", data: Mapping[str, Any] | None = None
) -> DictConfig:
    """The model's configuration as a data set with these facts resolves it; no loss. ``data`` replaces the others."""
    facts = {"channels": {"lr": bands, "guide": 1}, "ratio": ratio, "grid": grid} if data is None else dict(data)
    node = OmegaConf.create({"data": facts, "loss": None})
    merged = OmegaConf.merge(node, model_config(method))
    assert isinstance(merged, DictConfig)
    return merged


def build_part(
    method: str,
    part: str = "network",
    *,
    bands: int = 4,
    ratio: int = 4,
    grid: str = "dlpan",
    data: Mapping[str, Any] | None = None,
    config: Any = None,
) -> nn.Module:
    """One part (network, critics.<name>.network, ...) of a method, seeded."""
    node = OmegaConf.merge(OmegaConf.select(resolved(method, bands, ratio, grid, data).module, part), config or {})
    torch.manual_seed(0)
    return build(node, f"module.{part}")


def forward_roles(method: str) -> tuple[list[str], list[str]]:
    """Required and optional roles by the signature of the network's forward."""
    parameters = inspect.signature(resolve_target(model_config(method).module.network["_target_"]).forward).parameters
    named = [p for name, p in parameters.items() if name != "self" and p.kind is not p.VAR_KEYWORD]
    required = [p.name for p in named if p.default is p.empty]
    return required, [p.name for p in named if p.default is not p.empty]
