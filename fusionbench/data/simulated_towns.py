"""Simulated towns as places: what is seen, near and done in each, and its use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError, DataError
from fusionbench.simulation import simulate_zones

FULL = 10000.0  # DN of reflectance 1
REACH = 1000.0  # m, 1 on the scale of distances
STRETCHES = ("none", "window")


def stretched(image: np.ndarray) -> np.ndarray:
    """Each window [n,C,p,p] from its smallest to its largest value, in 256 steps, 0..1 (He et al. 2021)."""
    low = image.min((1, 2, 3), keepdims=True)
    span = np.maximum(image.max((1, 2, 3), keepdims=True) - low, 1e-12)
    return np.asarray(np.floor((image - low) / span * 255) / 255, np.float32)


def simulated_town(settings: Mapping[str, Any], seed: int, roles: Sequence[str]) -> dict[str, np.ndarray]:
    """The places of a seed's town.

    Args:
        settings: ``size``, ``gsd``, ``patch``, ``days``, ``by`` of `simulate_zones`; ``without``: uses left out;
            ``stretch`` of the images: ``none`` (reflectance) or ``window``; ``channels`` and
            ``classes`` that the data set declares.
        roles: wanted.

    Returns:
        ``image`` [n,3,p,p] 0..1, ``poi`` [n,M,p,p] log(1 + distance) with 1 at 1 km, ``activity`` [n,T] users per hour,
        ``position`` [n,2]; ``target`` [n], ``mixture`` [n,K].

    Raises:
        ConfigError: an unknown stretch.
        DataError: the data set declares other sizes than the towns have.
    """
    if settings["stretch"] not in STRETCHES:
        raise ConfigError(f"data.stretch={settings['stretch']}: one of {', '.join(STRETCHES)}")
    given = {key: settings[key] for key in ("size", "gsd", "patch", "days", "by")}
    town = simulate_zones(seed, **given)
    image = town["image"] / FULL if settings["stretch"] == "none" else stretched(town["image"])
    arrays = {
        "image": image.astype(np.float32),
        "poi": (np.log1p(town["poi_maps"]) / np.log1p(REACH)).astype(np.float32),
        "activity": town["activity"],
        "position": town["position"],
    }
    for role, count in settings["channels"].items():
        if arrays[role].shape[1] != count:
            raise DataError(f"data.channels.{role}={count}: simulated towns have {arrays[role].shape[1]}")
    uses = [use for use in town["names"] if use not in settings["without"]]
    if settings["classes"] != len(uses):
        raise DataError(f"data.classes={settings['classes']}: simulated towns have {len(uses)} uses: {', '.join(uses)}")
    columns = [town["names"].index(use) for use in uses]
    kept = np.isin(town["label"], columns)
    shares = town["proportions"][kept][:, columns]
    targets = {
        "target": np.searchsorted(columns, town["label"][kept]),
        "mixture": shares / shares.sum(1, keepdims=True),
    }
    return {role: arrays[role][kept] for role in roles} | targets
