"""Which indices a spatiospectral product gets, in digital numbers, and how each is printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from fusionbench.errors import DataError
from fusionbench.evaluation.schema import IndexInfo
from fusionbench.metrics import functional as indices

REDUCED, FULL = "reduced", "full"
TITLES = {REDUCED: "Reduced resolution", FULL: "Full resolution"}
BLOCK = 32  # px, side of the windows of UIQI, Q2n, D_lambda and D_s


@dataclass(frozen=True)
class Scene:
    """One test scene in digital numbers, float64.

    Args:
        lr: [1,B,h,w]; guide: [1,1,H,W]; exp: the interpolated ``lr`` [1,B,H,W].
        target: [1,B,H,W] at reduced resolution, else None.
        valid: [1,1,H,W] bool, None where every pixel is.
        bits: bit depth; ratio: PAN px per MS px; grid: ``area`` or ``dlpan``.
        gains: MTF gains at Nyquist, one per band.
    """

    lr: Tensor
    guide: Tensor
    exp: Tensor
    target: Tensor | None
    valid: Tensor | None
    bits: int
    ratio: int
    grid: str
    gains: tuple[float, ...]

    @property
    def peak(self) -> float:
        """The largest digital number."""
        return float(2**self.bits - 1)


def q2n_name(bands: int) -> str:
    """Q4 for four bands, Q8 for eight: the index extends the bands to the next power of two."""
    return f"Q{1 << max(bands - 1, 0).bit_length()}"


def described(bands: int, ratio: int, border: int | str, clip: bool = False) -> dict[str, dict[str, IndexInfo]]:
    """Test set -> index -> what it is, in the order to print."""
    blocks = f"blocks of {BLOCK} px"
    cut = "" if border == 0 else f"; border cut: {border}"
    reduced = {
        "PSNR": IndexInfo("max", "dB", 2, "one RMSE over all bands, peak 2^bits - 1"),
        "SSIM": IndexInfo("max", "", 4, "Gaussian window 11x11, sigma 1.5, range 2^bits - 1, mean over bands"),
        "SAM": IndexInfo("min", "°", 3, "mean angle over pixels"),
        "ERGAS": IndexInfo("min", "", 3, f"100/{ratio} times the relative RMSE"),
        "SCC": IndexInfo("max", "", 4, "cosine of Sobel gradients over all bands"),
        "UIQI": IndexInfo("max", "", 4, f"window {BLOCK}x{BLOCK}, stride 1, mean over bands"),
        q2n_name(bands): IndexInfo("max", "", 4, f"hypercomplex, {blocks}, on rounded digital numbers"),
    }
    full = {
        "D_lambda": IndexInfo("min", "", 4, f"{blocks}, against the interpolated MS", exp_trivial=True),
        "D_s": IndexInfo("min", "", 4, f"{blocks}, low PAN shrunk with antialias and interpolated"),
        "QNR": IndexInfo("max", "", 4, "(1 - D_lambda)(1 - D_s)", exp_trivial=True),
        "D_lambda_K": IndexInfo("min", "", 4, f"1 - Q2n seen through the MTF, {blocks}", exp_trivial=True),
        "HQNR": IndexInfo("max", "", 4, "(1 - D_lambda_K)(1 - D_s)"),
    }
    clipped = "; clipped to 0 .. 2^bits" if clip else ""
    return {
        REDUCED: {k: replace(v, variant=v.variant + cut + clipped) for k, v in reduced.items()},
        FULL: {k: replace(v, variant=v.variant + clipped) for k, v in full.items()},
    }


def measured(
    scene: Scene, fused: Tensor, border: int | str = 0, only: Collection[str] | None = None
) -> tuple[dict[str, float], list[str]]:
    """Every index of one product: those with reference where the scene has a target, else those without.

    Args:
        scene: one scene.
        fused: [1,B,H,W] in digital numbers.
        border: cut before indices with reference, pixels or ``dlpan``.
        only: which of the indices with reference; None: all.

    Returns:
        Index -> value (NaN where it does not exist), and why values are missing.
    """
    if scene.target is None:
        return _without_reference(scene, fused)
    options: dict[str, Any] = {"valid": scene.valid, "border": border}
    wanted: dict[str, Callable[..., Tensor]] = {
        "PSNR": partial(indices.psnr, data_range=scene.peak),
        "SSIM": partial(indices.ssim, data_range=scene.peak),
        "SAM": indices.sam,
        "ERGAS": partial(indices.ergas, ratio=scene.ratio),
        "SCC": indices.scc,
        "UIQI": partial(indices.uiqi, block=BLOCK),
        q2n_name(fused.shape[1]): partial(indices.q2n, block=BLOCK),
    }
    values, missing = {}, []
    for name, index in wanted.items():
        if only is not None and name not in only:
            continue
        try:
            values[name] = float(index(scene.target, fused, **options))
        except DataError as error:
            values[name] = math.nan
            missing.append(f"{name}: {error}")
    return values, missing


def _without_reference(scene: Scene, fused: Tensor) -> tuple[dict[str, float], list[str]]:
    try:
        found = indices.full_resolution(
            fused,
            scene.lr,
            scene.guide,
            gains=scene.gains,
            exp=scene.exp,
            grid=scene.grid,
            block=BLOCK,
            valid=scene.valid,
        )
    except DataError as error:
        return dict.fromkeys(described(fused.shape[1], scene.ratio, 0)[FULL], math.nan), [str(error)]
    return {name: float(value) for name, value in found.items()}, []
