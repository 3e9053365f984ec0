"""Indices at full resolution, where no reference exists: D_lambda, D_s, QNR, D_lambda_K, HQNR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.imaging.interpolation import expand
from fusionbench.imaging.mtf import mtf_filter
from fusionbench.imaging.wald import degrade_pan
from fusionbench.metrics.functional.hypercomplex import q2n
from fusionbench.metrics.functional.inputs import FLAT, check_valid, double, stack
from fusionbench.metrics.functional.windows import check_window, split_blocks, window_sums


class Scene(NamedTuple):
    """One image of a batch in float64, invalid pixels 0.

    fused, exp [B,H,W]; ms [B,h,w]; pan [1,H,W] ([0,H,W] for an index without PAN); usable [H,W] bool or None: pixels
    that no invalid one can have reached through a filter.
    """

    fused: Tensor
    ms: Tensor
    exp: Tensor
    pan: Tensor
    ratio: int
    grid: str
    usable: Tensor | None


def filter_reach(ratio: int) -> int:
    """How far (PAN px) a pixel is felt by EXP, by PAN shrunk and enlarged again, or by the MTF filter."""
    return max(20, 13 * ratio - 5)


def usable_pixels(valid: Tensor, ratio: int) -> Tensor:
    """Valid pixels farther than :func:`filter_reach` from any invalid one, [..,H,W] bool.

    ``share_used(usable_pixels(valid, ratio), 32, stride=32)`` is the share of blocks that the indices of this module
    count.
    """
    reach = filter_reach(ratio)
    invalid = F.pad((~valid).to(torch.int32), (reach,) * 4)
    return window_sums(invalid, 2 * reach + 1) == 0


def scenes(
    fused: Tensor, ms: Tensor, pan: Tensor | None, *, grid: str, exp: Tensor | None, valid: Tensor | None
) -> Iterator[Scene]:
    """The images of a batch one by one, with EXP made where it is not given.

    Raises:
        DataError: shapes that do not belong together.
    """
    ratio = _ratio(fused, ms)
    n, _, height, width = fused.shape
    if pan is None:
        pan = fused[:, :0]
    elif tuple(pan.shape) != (n, 1, height, width):
        raise DataError(f"PAN must be {[n, 1, height, width]} as the fused images, got {list(pan.shape)}")
    if exp is not None and exp.shape != fused.shape:
        raise DataError(f"EXP must have the fused images' shape {list(fused.shape)}, got {list(exp.shape)}")
    check_valid(valid, (n, 1, height, width))
    for k in range(n):
        mask = None if valid is None or bool(valid[k].all()) else valid[k, 0]
        coarse = None if mask is None else _whole_cells(mask, ratio)
        low = double(ms[k], coarse)
        yield Scene(
            double(fused[k], mask),
            low,
            expand(low, ratio, grid) if exp is None else double(exp[k], mask),
            double(pan[k], mask),
            ratio,
            grid,
            None if mask is None else usable_pixels(mask, ratio),
        )


def _ratio(fused: Tensor, ms: Tensor) -> int:
    if fused.ndim == 4 and ms.ndim == 4 and fused.shape[:2] == ms.shape[:2] and min(ms.shape[-2:]) > 0:
        ratio = fused.shape[-1] // ms.shape[-1]
        if ratio > 0 and tuple(fused.shape[-2:]) == (ratio * ms.shape[-2], ratio * ms.shape[-1]):
            return ratio
    raise DataError(
        f"fused images [N,B,rh,rw] and MS [N,B,h,w] must have one whole ratio r, got {list(fused.shape)} and "
        f"{list(ms.shape)}"
    )


def _whole_cells(mask: Tensor, ratio: int) -> Tensor:
    """Coarse pixels all of whose fine ones are set."""
    return split_blocks(mask[None], ratio).all(-1).reshape(mask.shape[0] // ratio, mask.shape[1] // ratio)


def block_quality(x: Tensor, y: Tensor, block: int, usable: Tensor | None) -> Tensor:
    """Q of every band of x [A,H,W] with every band of y [B,H,W], mean over the whole usable blocks -> [A,B].

    Rows and columns beyond the last whole block are left out. Two bands that are both constant in a block, or both of
    mean 0, have no Q there: their value is NaN, as the toolbox's.

    Raises:
        DataError: the image is smaller than a block.
    """
    check_window(block, *x.shape[-2:])
    height, width = (n // block * block for n in x.shape[-2:])
    total, count = x.new_zeros(len(x), len(y)), 0
    for top in range(0, height, block):
        rows = slice(top, top + block)
        a, b = (split_blocks(z[:, rows, :width], block) for z in (x, y))
        if usable is not None:
            whole = split_blocks(usable[None, rows, :width], block).all(-1)[:, 0]
            a, b = a[whole], b[whole]
        total += _quality(a, b).sum(0)
        count += len(a)
    return total / count if count else total.fill_(torch.nan)


def _quality(a: Tensor, b: Tensor) -> Tensor:
    """Q of blocks [k,A,n] and [k,B,n] -> [k,A,B]. The factor n / (n - 1) of the covariances cancels."""
    ma, mb = a.mean(-1, keepdim=True), b.mean(-1, keepdim=True)
    a, b = a - ma, b - mb
    va, vb = (
        torch.where(v <= (FLAT * m) ** 2, 0.0, v)
        for v, m in ((a.square().mean(-1, keepdim=True), ma), (b.square().mean(-1, keepdim=True), mb))
    )
    covariance = torch.bmm(a, b.mT) / a.shape[-1]
    mb, vb = mb.mT, vb.mT
    return 4 * covariance * ma * mb / ((va + vb) * (ma.square() + mb.square()))


def _d_lambda(scene: Scene, block: int, p: float, paper: bool) -> Tensor:
    if len(scene.fused) < 2:
        raise DataError("D_lambda compares pairs of bands: it needs two bands or more")
    ours = block_quality(scene.fused, scene.fused, block, scene.usable)
    if paper:
        theirs = block_quality(scene.ms, scene.ms, *_coarse(scene, block))
    else:
        theirs = block_quality(scene.exp, scene.exp, block, scene.usable)
    pairs = torch.ones_like(ours, dtype=torch.bool).triu(1)
    return (ours - theirs)[pairs].abs().pow(p).mean().pow(1 / p)


def _d_s(scene: Scene, block: int, q: float, paper: bool) -> Tensor:
    ours = block_quality(scene.fused, scene.pan, block, scene.usable)
    low = degrade_pan(scene.pan, scene.ratio)
    if paper:
        theirs = block_quality(scene.ms, low, *_coarse(scene, block))
    else:
        theirs = block_quality(scene.exp, expand(low, scene.ratio, scene.grid), block, scene.usable)
    return (ours - theirs).abs().pow(q).mean().pow(1 / q)


def _d_lambda_k(scene: Scene, gains: float | Sequence[float], block: int) -> Tensor:
    seen = mtf_filter(scene.fused, gains, scene.ratio)
    valid = None if scene.usable is None else scene.usable[None, None]
    return 1 - q2n(scene.exp[None], seen[None], block=block, valid=valid)[0]


def _coarse(scene: Scene, block: int) -> tuple[int, Tensor | None]:
    if block % scene.ratio:
        raise ConfigError(
            f"paper=True works on MS blocks of block / ratio pixels: {block} / {scene.ratio} is not whole"
        )
    usable = None if scene.usable is None else _whole_cells(scene.usable, scene.ratio)
    return block // scene.ratio, usable


@torch.no_grad()
def d_lambda(
    fused: Tensor,
    ms: Tensor,
    *,
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    p: float = 1,
    paper: bool = False,
    valid: Tensor | None = None,
) -> Tensor:
    """Spectral distortion: how much Q between pairs of bands differs between fused image and MS, 0 is best.

    Shapes: fused [N,B,rh,rw], ms [N,B,h,w], valid [N,1,rh,rw] bool -> [N] float64 in [0, 2].
    Args:
        exp: MS on the PAN grid [N,B,rh,rw] if at hand; otherwise it is made, on ``grid``.
        paper: compare with the MS itself in blocks of block / r, as first published; the toolbox (default) takes EXP.
    Raises:
        ConfigError: unknown grid, ``paper`` with a block that r does not divide.
        DataError: shapes that do not belong together, fewer than two bands, an image smaller than a block.
    Source: Alparone et al., PE&RS 74(2), 2008. See :func:`block_quality` for sizes and constant blocks.
    """
    found = [_d_lambda(s, block, p, paper) for s in scenes(fused, ms, None, grid=grid, exp=exp, valid=valid)]
    return stack(found, fused)


@torch.no_grad()
def d_s(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    q: float = 1,
    paper: bool = False,
    valid: Tensor | None = None,
) -> Tensor:
    """Spatial distortion: how much Q of a band with PAN differs between fused image and MS with low PAN, 0 is best.

    Shapes: fused [N,B,rh,rw], ms [N,B,h,w], pan [N,1,rh,rw], valid [N,1,rh,rw] bool -> [N] float64 in [0, 2].
    Args, raises and source: as :func:`d_lambda`; any number of bands. Low PAN is bicubic with antialias, and
    enlarged as EXP unless ``paper``.
    """
    found = [_d_s(s, block, q, paper) for s in scenes(fused, ms, pan, grid=grid, exp=exp, valid=valid)]
    return stack(found, fused)


@torch.no_grad()
def qnr(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    p: float = 1,
    q: float = 1,
    alpha: float = 1,
    beta: float = 1,
    paper: bool = False,
    valid: Tensor | None = None,
) -> Tensor:
    """Quality with no reference: (1 - D_lambda)^alpha (1 - D_s)^beta, 1 is best.

    Shapes, arguments, raises and source: as :func:`d_lambda` and :func:`d_s` -> [N] float64.
    """
    found = [
        (1 - _d_lambda(s, block, p, paper)) ** alpha * (1 - _d_s(s, block, q, paper)) ** beta
        for s in scenes(fused, ms, pan, grid=grid, exp=exp, valid=valid)
    ]
    return stack(found, fused)


@torch.no_grad()
def d_lambda_k(
    fused: Tensor,
    ms: Tensor,
    *,
    gains: float | Sequence[float],
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    valid: Tensor | None = None,
) -> Tensor:
    """Khan's spectral distortion: 1 - Q2n of EXP and the fused image seen through the MS sensor's MTF, 0 is best.

    Shapes: fused [N,B,rh,rw], ms [N,B,h,w] in digital numbers, valid [N,1,rh,rw] bool -> [N] float64 in [0, 1].
    Args:
        gains: MTF at Nyquist, one per band or one for all (the sensor's ``mtf_gains``).
        exp, grid: as :func:`d_lambda`.
    Raises:
        ConfigError: unknown grid, gains that are none.
        DataError: shapes that do not belong together, data in [0, 1] (see :func:`q2n`).
    Source: Khan, Alparone and Chanussot, IEEE TGRS 47(11), 2009.
    """
    found = [_d_lambda_k(s, gains, block) for s in scenes(fused, ms, None, grid=grid, exp=exp, valid=valid)]
    return stack(found, fused)


@torch.no_grad()
def hqnr(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    gains: float | Sequence[float],
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    valid: Tensor | None = None,
) -> Tensor:
    """Hybrid quality with no reference: (1 - D_lambda_K)(1 - D_s), 1 is best. The index of choice at full resolution.

    Shapes, arguments and raises: as :func:`d_lambda_k` and :func:`d_s` -> [N] float64.
    Source: Aiazzi et al., IGARSS 2014.
    """
    found = [
        (1 - _d_lambda_k(s, gains, block)) * (1 - _d_s(s, block, 1, False))
        for s in scenes(fused, ms, pan, grid=grid, exp=exp, valid=valid)
    ]
    return stack(found, fused)


@torch.no_grad()
def full_resolution(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    gains: float | Sequence[float],
    exp: Tensor | None = None,
    grid: str = "dlpan",
    block: int = 32,
    valid: Tensor | None = None,
) -> dict[str, Tensor]:
    """D_lambda, D_s, QNR, D_lambda_K and HQNR at once, each part computed once: name -> [N] float64.

    Shapes, arguments and raises: as the single functions.
    """
    spectral, spatial, khan = [], [], []
    for s in scenes(fused, ms, pan, grid=grid, exp=exp, valid=valid):
        spectral.append(_d_lambda(s, block, 1, False))
        spatial.append(_d_s(s, block, 1, False))
        khan.append(_d_lambda_k(s, gains, block))
    dl, ds, dk = (stack(values, fused) for values in (spectral, spatial, khan))
    return {"D_lambda": dl, "D_s": ds, "QNR": (1 - dl) * (1 - ds), "D_lambda_K": dk, "HQNR": (1 - dk) * (1 - ds)}
