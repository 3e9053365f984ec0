"""A small HS-MS pair with known response and point spread, and the per-scene methods of that task."""

from __future__ import annotations

import copy
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from fusionbench.building import build
from fusionbench.networks.blocks import Blur, respond
from fusionbench.regimes import PerScene

from .cards import resolved

BANDS, GUIDE_BANDS = 12, 3
# method -> settings with which a fit takes a second or two; otherwise as published
SHORT: dict[str, dict[str, Any]] = {
    "usdn": {"fit": {"hs_steps": 200, "start_steps": 100, "ms_steps": 200, "rate": 1e-2}},
    "cucanet": {"network": {"width": 16, "abundances": 32}, "fit": {"steps": 300, "hold": 200}},
    "udaln": {"fit": {"steps": [50, 200, 50], "hold": [40, 150, 20], "rates": [1e-3, 1e-2, 1e-3]}},
    "gdd": {"network": {"channels": 24}, "fit": {"steps": 150}},
    "miae": {"network": {"members": 16}, "fit": {"steps": [100, 250], "hold": 200, "rates": [3e-3, 1e-2]}},
    "nonregsrnet": {
        "network": {"widths": [8, 16, 32], "abundances": 32, "displacement_width": 4},
        "fit": {"steps": 250, "hold": 200, "rate": 0.01},
    },
}
SIZES = {"gdd": (9, 9)}  # of lr: a code of one pixel, below 33 px, vanishes in the normalisation
TINY: dict[str, dict[str, Any]] = {  # a few steps of everything
    "usdn": {"fit": {"hs_steps": 3, "start_steps": 2, "ms_steps": 20}},
    "cucanet": {"network": {"width": 4, "abundances": 6}, "fit": {"steps": 4, "hold": 2}},
    "udaln": {"fit": {"steps": [2, 2, 2], "hold": [1, 1, 1]}},
    "gdd": {"network": {"channels": 4}, "fit": {"steps": 3}},
    "miae": {"network": {"members": 6}, "fit": {"steps": [2, 4], "hold": 2}},
    "nonregsrnet": {
        "network": {"widths": [4, 6, 8], "abundances": 6, "displacement_width": 2},
        "fit": {"steps": 3, "hold": 1},
    },
}


def srf() -> Tensor:
    """Three overlapping windows [3,12], rows with a sum of one."""
    place = torch.arange(float(BANDS))
    rows = torch.stack([(1 - (place - centre).abs() / 3).clamp_min(0) for centre in (2, 5, 9)])
    return rows / rows.sum(dim=1, keepdim=True)


def psf(ratio: int) -> Tensor:
    """Gaussian on the block of a pixel, FWHM of one coarse pixel."""
    place = torch.arange(float(ratio)) - (ratio - 1) / 2
    line = (-0.5 * (place * 2.35482 / ratio).square()).exp()
    kernel = line[:, None] * line
    return kernel / kernel.sum()


def pair(size: tuple[int, int] = (6, 7), ratio: int = 4) -> dict[str, Any]:
    """A batch of one scene of four materials in patches; ``size`` is that of lr."""
    generator = torch.Generator().manual_seed(5)
    place = torch.linspace(0, 1, BANDS)
    spectra = torch.stack([place**2, 1 - place, 0.2 + 0.6 * (3 * place).sin().abs(), 0.9 - 0.8 * place**3])
    rows, columns = size[0] * ratio, size[1] * ratio
    seeds = torch.rand(30, 2, generator=generator) * torch.tensor([rows, columns])
    grid = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), -1).reshape(-1, 2)
    label = torch.cdist(grid.float(), seeds).argmin(dim=1) % 4
    brightness = 0.8 + 0.2 * torch.rand(rows * columns, generator=generator)
    target = (spectra[label] * brightness[:, None]).T.reshape(1, BANDS, rows, columns).clamp(0, 1)
    with torch.no_grad():
        lr = Blur(ratio, kernel=psf(ratio))(target)
    told = {"srf": srf()[None], "psf": psf(ratio)[None], "scene": ["a"], "ratio": torch.tensor([ratio])}
    return {"lr": lr, "guide": respond(target, srf()), "target": target, **told}


def regime(method: str, settings: dict[str, Any], ratio: int = 4) -> PerScene:
    """The method as its configuration describes it, but for ``settings``."""
    data = {"channels": {"lr": BANDS, "guide": GUIDE_BANDS}, "ratio": ratio}
    node = OmegaConf.merge(resolved(method, data=data).module, copy.deepcopy(settings))
    torch.manual_seed(0)
    made = build(OmegaConf.to_container(node, resolve=True), "model.module")
    assert isinstance(made, PerScene)
    return made
