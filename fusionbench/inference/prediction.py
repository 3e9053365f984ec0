"""Fuse a real scene of any size with a trained, or a classical, method."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError, RefusedError
from fusionbench.imaging.tiling import Tile, reach_out, receptive_radius, tiles
from fusionbench.inference.memory import available_memory, bytes_per_pixel
from fusionbench.inference.output import check_output, fused_image, pick_nodata, to_dtype, write
from fusionbench.inference.scene import Scene, Tensors

log = logging.getLogger(__name__)

# px beyond a measured radius: a tap too weak to show in the measurement
SAFETY = 8
# px of mirrored continuation around a scene that is fused whole: EXP's 23 taps wrap around the edges otherwise
WHOLE_MARGIN = 40


class Fuser(Protocol):
    """What prediction needs of a regime."""

    network: nn.Module

    def fuse(self, batch: dict[str, Any]) -> Tensor: ...


@dataclass(frozen=True)
class Plan:
    """How a method is led over a scene: px around each tile, phase of the tiles, or the whole scene at once."""

    margin: int
    unit: int
    whole: bool


@dataclass(frozen=True)
class Prediction:
    """A fused file and what was done to get it."""

    path: Path
    height: int
    width: int
    tiles: int
    margin: int
    whole: bool
    alignment: str
    invalid: int
    seconds: float


def plan(fuser: Fuser, facts: Mapping[str, Any], overlap: int | None = None) -> Plan:
    """Margin and phase for a method.

    A network or classical method may state: ``tileable = False`` (scene-wide statistics, global attention, a fit: it is
    given the whole scene), ``size_multiple`` (its windows or strides start at multiples of this many guide px), and
    ``radius`` (how far it sees, guide px; measured by differentiation where it is not stated).
    """
    unit = _unit(fuser, facts)
    radius = reach(fuser, facts)
    if radius is None:
        return Plan(_up(WHOLE_MARGIN, unit), unit, whole=True)
    if overlap is not None and overlap < radius:
        log.warning("overlap=%d is less than the %d px that the method sees: tile borders will show", overlap, radius)
    return Plan(_up(radius + SAFETY if overlap is None else overlap, unit), unit, whole=False)


def reach(fuser: Fuser, facts: Mapping[str, Any]) -> int | None:
    """How far a method sees, guide px, stated or measured; None: the whole scene. See ``plan``."""
    network = fuser.network
    if not getattr(fuser, "tileable", getattr(network, "tileable", True)):
        return None
    radius = getattr(network, "radius", None)
    if radius is not None:
        return int(radius)
    channels, unit = facts["channels"], _unit(fuser, facts)
    return receptive_radius(
        _on_cpu(network), channels["lr"], int(facts["ratio"]), guide_bands=channels["guide"], unit=unit
    )


def _unit(fuser: Fuser, facts: Mapping[str, Any]) -> int:
    return math.lcm(int(facts["ratio"]), int(getattr(fuser.network, "size_multiple", 1)))


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _on_cpu(network: nn.Module) -> Any:
    """The network's forward on CPU inputs, its first output, wherever its weights are."""
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device

    def forward(lr: Tensor, guide: Tensor) -> Tensor:
        output = network(lr.to(device), guide.to(device))
        return (output["output"] if isinstance(output, dict) else output).cpu()

    return forward


def check_memory(fuser: Fuser, facts: Mapping[str, Any], scene: Scene, margin: int) -> None:
    """Refuse a scene that a method which cannot be tiled will not hold in memory.

    Raises:
        RefusedError: with what is needed and what there is.
    """
    channels = facts["channels"]
    each = bytes_per_pixel(_on_cpu(fuser.network), channels["lr"], channels["guide"], int(facts["ratio"]))
    needed = each * (scene.height + 2 * margin) * (scene.width + 2 * margin)
    available = available_memory()
    if available is not None and needed > available:
        raise RefusedError(
            f"{type(fuser.network).__name__} uses statistics of the whole scene and cannot be tiled; "
            f"{scene.height} x {scene.width} px need about {needed / 1e9:.1f} GB, {available / 1e9:.1f} GB are "
            "available. Cut the scene, or use a method that can be tiled (any of the convolutional networks)"
        )


def predict_files(
    fuser: Fuser,
    facts: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    *,
    tile: int = 512,
    overlap: int | None = None,
    bits: int | None = None,
    dtype: str | None = None,
    cog: bool = False,
    compress: str = "deflate",
    grid: str = "area",
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> Prediction:
    """Fuse a PAN / MS pair of files into a GeoTIFF, tile by tile, in bounded memory.

    The output covers the PAN pixels that both files cover, with PAN's transform, the inputs' CRS, the MS's band
    descriptions and no-data value. A pixel is no-data where its PAN pixel or the MS pixel over it is (or is NaN).

    Args:
        fuser: a regime (``network``, ``fuse``).
        facts: of its checkpoint: channels, ratio, grid, bits, sensor.
        inputs: files by role, lr and guide.
        tile: side of a tile, output px; multiples of 256 write each block of the file once.
        overlap: px read around a tile; None: as far as the method sees.
        bits: bit depth of the inputs; None: the checkpoint's.
        dtype: of the output; None: the MS file's.
        grid: of a pair without georeference, area | dlpan.

    Raises:
        ConfigError: roles, dtype, tile or out that cannot be used.
        DataError: files that are missing, unreadable, of other bands, or not one pair.
        RefusedError: a scene too large for a method that must see it whole.
    """
    started = time.perf_counter()
    channels, ratio = facts["channels"], int(facts["ratio"])
    if sorted(inputs) != ["guide", "lr"]:
        raise ConfigError(
            f"inputs has {', '.join(sorted(inputs)) or 'nothing'}; the method takes inputs.lr, inputs.guide"
        )
    if tile < 1 or grid not in ("area", "dlpan"):
        raise ConfigError(f"tile={tile} must be positive, grid={grid} one of area, dlpan")
    network = fuser.network.eval().to(device)
    with Scene(inputs, channels, ratio, str(facts["grid"]), ungeoreferenced=grid) as scene:
        dtype = dtype or scene.ms.dataset.dtypes[0]
        nbytes = np.dtype(dtype).itemsize if dtype in ("uint8", "int16", "uint16") else 8
        # a COG is packed from the plain file: both are there for a while
        check_output(
            out, list(inputs.values()), dtype, (1 + cog) * nbytes * channels["lr"] * scene.height * scene.width
        )
        log.info("%s and %s: %s", inputs["guide"].name, inputs["lr"].name, scene.alignment.rule)
        scheme = plan(fuser, facts, overlap)
        if scheme.whole:
            check_memory(fuser, facts, scene, scheme.margin)
            tile = max(scene.height, scene.width)
        nodata = pick_nodata([scene.ms.dataset.nodata, scene.pan.dataset.nodata], dtype, scene.may_be_invalid)
        meta = _metadata(facts, bits, scene)
        pieces = list(tiles(scene.height, scene.width, tile))
        invalid = 0
        with (
            Progress(disable=not progress, transient=True) as bar,
            fused_image(
                out,
                channels["lr"],
                scene.height,
                scene.width,
                dtype,
                cog=cog,
                compress=compress,
                nodata=nodata,
                **scene.profile(),
            ) as target,
        ):
            task = bar.add_task(f"fusing {scene.height} x {scene.width} px", total=len(pieces))
            target.descriptions = scene.ms.dataset.descriptions
            for piece, window, inner in windows(scene, pieces, scheme):
                fused = fuse_window(fuser, window, meta, network)
                values = fused[(slice(None), *inner)].numpy()
                valid = _valid(window, ratio)[(slice(None), *inner)].numpy()
                invalid += int(valid.size - np.count_nonzero(valid))
                if not np.isfinite(values).all(where=valid):
                    raise DataError(
                        f"the fused image is not finite at row {piece.row}, column {piece.column} of {out.name}: "
                        "check bits, sensor and the checkpoint"
                    )
                write(target, to_dtype(values, valid, dtype, nodata), piece.row, piece.column)
                bar.advance(task)
        return Prediction(
            path=out,
            height=scene.height,
            width=scene.width,
            tiles=len(pieces),
            margin=scheme.margin,
            whole=scheme.whole,
            alignment=scene.alignment.rule,
            invalid=invalid,
            seconds=time.perf_counter() - started,
        )


def windows(scene: Scene, pieces: list[Tile], scheme: Plan) -> Iterator[tuple[Tile, Tensors, tuple[slice, slice]]]:
    """Each tile with its pair, margins included, and where the tile lies in it."""
    below, beside = scene.offset
    for piece in pieces:
        row, column = piece.row + below, piece.column + beside
        top, bottom = reach_out(row, row + piece.height, scheme.margin, scheme.unit)
        left, right = reach_out(column, column + piece.width, scheme.margin, scheme.unit)
        inner = slice(row - top, row - top + piece.height), slice(column - left, column - left + piece.width)
        yield piece, scene.window(top, bottom, left, right), inner


def fuse_window(fuser: Fuser, window: Tensors, meta: Mapping[str, Any], network: nn.Module) -> Tensor:
    """Fused digital numbers [B,H,W] on the CPU."""
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    scale = float(2 ** int(meta["bits"][0]) - 1)
    batch = {
        **meta,
        "lr": window.lr[None].to(device) / scale,
        "guide": window.guide[None].to(device) / scale,
    }
    if not (window.valid.all() and window.valid_lr.all()):
        batch |= {"valid": window.valid[None].to(device), "valid_lr": window.valid_lr[None].to(device)}
    with torch.no_grad():
        return fuser.fuse(batch)[0].float().cpu() * scale


def _valid(window: Tensors, ratio: int) -> Tensor:
    """Fused pixels that may be used, [1,H,W]."""
    return window.valid & window.valid_lr.repeat_interleave(ratio, -2).repeat_interleave(ratio, -1)


def _metadata(facts: Mapping[str, Any], bits: int | None, scene: Scene) -> dict[str, Any]:
    """The batch's metadata, as a data module would give it."""
    transform = scene.profile().get("transform")
    gsd = math.nan if transform is None else abs(transform.a)
    return {
        "scene": [scene.ms.path.stem],
        "sensor": [str(facts.get("sensor"))],
        "bits": torch.tensor([int(facts["bits"]) if bits is None else bits]),
        "ratio": torch.tensor([int(facts["ratio"])]),
        "gsd": torch.tensor([gsd]),
    }
