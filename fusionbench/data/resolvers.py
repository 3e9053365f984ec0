"""OmegaConf resolvers that data configs use. Torch-free; the app registers them before it composes."""

from __future__ import annotations

from typing import Any

from omegaconf import Container, ListConfig, OmegaConf


def mtf_gains(key: str, *, _root_: Container) -> ListConfig:
    """MTF gains at Nyquist of the sensor record at ``key``, one per band: ``${mtf_gains:data.sensor}``."""
    bands: Any = OmegaConf.select(_root_, f"{key}.bands", throw_on_missing=True)
    return OmegaConf.create([float(band["mtf"]) for band in bands or ()])


def register_resolvers() -> None:
    """Register ``mtf_gains`` with OmegaConf; repeated calls are harmless."""
    OmegaConf.register_new_resolver("mtf_gains", mtf_gains, replace=True)
