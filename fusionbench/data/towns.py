"""Towns as places, from files or simulated: what is seen, near and done in each, and its use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusionbench.data.readers.towns import TownFiles, read_town
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


def near(distances: np.ndarray) -> np.ndarray:
    """Distances in m as log(1 + distance), 1 at 1 km."""
    return np.asarray(np.log1p(distances) / np.log1p(REACH), np.float32)


def _check_stretch(stretch: str) -> None:
    if stretch not in STRETCHES:
        raise ConfigError(f"data.stretch={stretch}: one of {', '.join(STRETCHES)}")


def town_of_files(files: TownFiles, roles: Sequence[str], stretch: str, scale: float, by: str) -> dict[str, np.ndarray]:
    """The places of a town in a folder, as `simulated_town` gives them, without shares of uses.

    Args:
        files: see `TownFiles`.
        roles: wanted.
        stretch: see `simulated_town`.
        scale: digital number of 1, where images are not stretched.
        by: ``cell``: positions are rows and columns of a grid of windows; ``block``: px.
    """
    _check_stretch(stretch)
    town = read_town(files)
    image = town["image"] / scale if stretch == "none" else stretched(town["image"])
    arrays = {**town, "image": np.asarray(image, np.float32), "poi": near(town["poi"])}
    if by == "cell":
        arrays["position"] = arrays["position"] // files.patch
    return {role: arrays[role] for role in roles} | {"target": town["label"]}


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
    _check_stretch(settings["stretch"])
    given = {key: settings[key] for key in ("size", "gsd", "patch", "days", "by")}
    town = simulate_zones(seed, **given)
    image = town["image"] / FULL if settings["stretch"] == "none" else stretched(town["image"])
    arrays = {
        "image": image.astype(np.float32),
        "poi": near(town["poi_maps"]),
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
