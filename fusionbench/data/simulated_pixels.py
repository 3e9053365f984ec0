"""Scenes of the simulated world as a classification data set holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.imaging.profiles import area_profile


def simulated_scene(settings: Mapping[str, Any], seed: int, roles: Sequence[str]) -> dict[str, np.ndarray]:
    """Rasters under roles [B,H,W] float32 and ``labels`` [H,W] int16 (-1: none) of a seed.

    Args:
        settings: ``size`` px, ``gsd`` m, ``legend`` (`fusionbench.simulation.LEGENDS`), ``labelled``: share of pixels
            with a label; ``hs``: ``low``, ``high`` nm and ``snr``; ``products``: every other role -> ``{product,
            bands}`` of `simulate_classes`, or the product ``height``, LiDAR's first returns above the ground that is
            estimated from them, or ``height_profile``, its attribute profile; ``shuffle``: roles taken from the scene
            of another seed (a test: what they add must vanish); ``channels`` of the data set.
        seed: of the scene.
        roles: of the data set.

    Raises:
        ConfigError: a role without a product, or one of another number of bands.
    """
    from fusionbench.simulation import hs_bands, simulate_classes
    from fusionbench.simulation.classes import above_ground, natural

    products: Mapping[str, Mapping[str, Any]] = settings.get("products") or {}
    absent = [role for role in roles if role != "hs" and role not in products]
    if absent:
        raise ConfigError(f"data.simulation.products: says nothing of {', '.join(absent)}")
    legend = str(settings["legend"])
    channels, hs = settings["channels"], settings["hs"]
    found = simulate_classes(
        hs_bands(float(hs["low"]), float(hs["high"]), int(channels["hs"])),
        seed,
        int(settings["size"]),
        legend=legend,
        modalities=tuple(dict.fromkeys(_modality(str(node["product"])) for node in products.values())),
        gsd=float(settings["gsd"]),
        snr=hs.get("snr"),
        labelled=float(settings.get("labelled", 0.3)),
    )
    arrays = {"hs": found["hs"]}
    if "lidar" in found:
        found["height"] = above_ground(found["lidar"][0], float(settings["gsd"]) / natural(float(settings["gsd"])))[
            None
        ]
    if any(node["product"] == "height_profile" for node in products.values()):
        found["height_profile"] = area_profile(found["height"][0])
    for role, node in products.items():
        raster = np.asarray(found[str(node["product"])], np.float32)
        arrays[role] = raster if node.get("bands") is None else raster[list(node["bands"])]
        if len(arrays[role]) != channels[role]:
            raise ConfigError(
                f"data.simulation.products.{role}: {node['product']} gives {len(arrays[role])} bands, "
                f"data.channels.{role} is {channels[role]}"
            )
    for role in settings.get("shuffle") or ():
        other = simulated_scene({**settings, "shuffle": ()}, seed + 100_000, roles)
        arrays[role] = other[role]
    return {role: np.ascontiguousarray(x, np.float32) for role, x in arrays.items() if role in roles} | {
        "labels": np.asarray(found["labels"], np.int16)
    }


def _modality(product: str) -> str:
    return "lidar" if product.startswith("height") else product
