"""Every classical pansharpening method, found by reading the cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from fusionbench.building import build

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "model"


# iterations for tests: near enough, and quick
SHORT = {"vo_net": {"iterations": 160}}


def classical_methods() -> list[str]:
    """Ids of the methods that a formula gives; one that leans on a trained method has tests of its own."""
    found = []
    for path in sorted(CONFIGS.glob("[!_]*.yaml")):
        config = OmegaConf.load(path)
        if (config.card.regime, config.card.task) != ("classical", "pansharpening"):
            continue
        if "prior" not in config.module.method:
            found.append(path.stem)
    return found


def build_method(
    name: str, gains: list[float], pan_gain: float, *, ratio: int = 4, grid: str = "dlpan", **changed: Any
) -> nn.Module:
    """The method as its configuration builds it for a data set with these facts."""
    data = {"ratio": ratio, "grid": grid, "bits": 11, "mtf": {"gains": gains, "pan": pan_gain}}
    model = OmegaConf.load(CONFIGS / f"{name}.yaml")
    config = OmegaConf.merge({"data": data, "model": model}, model)
    return build(OmegaConf.merge(config.module.method, SHORT.get(name, {}), changed), "module.method")
