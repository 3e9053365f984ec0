"""Pictures of a test scene: composites under one stretch, error maps under one scale, spectra of a few places."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fusionbench.evaluation.indices import Scene
from fusionbench.evaluation.plots import ERROR_COLOURS, GAMMA, PAN, REFERENCE, Spectrum
from fusionbench.evaluation.schema import Picture
from fusionbench.imaging.composite import composite, stretch_limits
from fusionbench.sensors import Sensor

NEAR_INFRARED, RED = 850.0, 660.0  # nm


class Painter:
    """Draws scenes into a folder.

    Args:
        folder: where the files go; made when first needed.
        sensor: band centres choose the colours.
        ratio: PAN px per MS px; the window begins at a multiple of it.
        size: side of the drawn centre, px.
    """

    def __init__(self, folder: Path, sensor: Sensor, ratio: int, size: int) -> None:
        self.folder, self.sensor, self.ratio, self.size = folder, sensor, ratio, size
        self.bands = list(sensor.rgb) if len(sensor.bands) >= 3 else [0]

    def draw(self, set_name: str, name: str, scene: Scene, products: Mapping[str, Tensor]) -> list[Picture]:
        """Write the pictures of one scene.

        Args:
            products: method -> [1,B,H,W] in digital numbers.

        Returns:
            What was written: PAN, the reference where there is one, every product, every error map.
        """
        rows, columns = (centre(n, self.size, self.ratio) for n in scene.guide.shape[-2:])
        stem = f"{set_name}-{plain(name)}"
        valid = None if scene.valid is None else scene.valid[0, :, rows, columns]
        base = (scene.exp if scene.target is None else scene.target)[0, :, rows, columns]
        if valid is not None and not bool(valid.any()):
            return []
        limits = stretch_limits(base[self.bands], valid=valid)
        pan = scene.guide[0, :, rows, columns]
        pan_limits = stretch_limits(pan, valid=valid)
        shown = {} if scene.target is None else {REFERENCE: scene.target}
        shown |= products
        written = [
            self._write(f"{stem}-{PAN}", set_name, name, PAN, "composite", composite(pan, [0], pan_limits), pan_limits)
        ]
        for method, image in shown.items():
            picture = composite(image[0, :, rows, columns], self.bands, limits, GAMMA)
            written.append(self._write(f"{stem}-{plain(method)}", set_name, name, method, "composite", picture, limits))
        if scene.target is not None:
            cut = {k: v[0, :, rows, columns] for k, v in products.items()}
            written += error_pictures(self.folder, stem, set_name, name, base, cut, valid)
        return written

    def _write(
        self, stem: str, set_name: str, scene: str, method: str, kind: str, picture: Tensor, limits: Tensor
    ) -> Picture:
        return write_picture(
            self.folder / f"{stem}.png", set_name, scene, method, kind, picture, limits.flatten().tolist()
        )

    def spectra(self, scene: Scene, products: Mapping[str, Tensor]) -> list[Spectrum]:
        """Spectra at a dark, a middling, a bright and a green place of the reference; none at full resolution."""
        if scene.target is None or len(self.sensor.bands) < 3 or min(scene.target.shape[-2:]) < 3:
            return []
        smooth = {k: avg_pool2d(v, 3, 1)[0] for k, v in ({REFERENCE: scene.target} | dict(products)).items()}
        valid = torch.ones_like(smooth[REFERENCE][0], dtype=torch.bool)
        if scene.valid is not None:
            valid = avg_pool2d(scene.valid.double(), 3, 1)[0, 0] == 1
        if not bool(valid.any()):
            return []
        brightness = smooth[REFERENCE].mean(0)
        places = {"dark": (brightness, 0.02), "middling": (brightness, 0.5), "bright": (brightness, 0.98)}
        centers = torch.tensor([band.center for band in self.sensor.bands])
        nir, red = (int((centers - wanted).abs().argmin()) for wanted in (NEAR_INFRARED, RED))
        if float(centers.max()) > 750:
            nir_image, red_image = smooth[REFERENCE][nir], smooth[REFERENCE][red]
            places["green"] = ((nir_image - red_image) / (nir_image + red_image).clamp(min=1), 0.98)
        found = []
        for place, (values, quantile) in places.items():
            row, column = _at_quantile(values, valid, quantile)
            spectra = {method: image[:, row, column].tolist() for method, image in smooth.items()}
            found.append(Spectrum(place, row + 1, column + 1, spectra))
        return found


def error_pictures(
    folder: Path,
    stem: str,
    set_name: str,
    name: str,
    target: Tensor,
    products: Mapping[str, Tensor],
    valid: Tensor | None = None,
) -> list[Picture]:
    """Root mean square error over bands per pixel, one scale for all methods: 0 to the largest 99th percentile.

    Args:
        folder: of the figures; ``stem``: begins the files' names.
        target: [B,H,W]; ``products``: method -> [B,H,W], in one unit.
        valid: [1,H,W] bool; None: all pixels.
    """
    from matplotlib import colormaps

    maps = {method: (image - target).square().mean(0, keepdim=True).sqrt() for method, image in products.items()}
    finite = [stretch_limits(m, valid=valid) for m in maps.values() if bool(torch.isfinite(m).any())]
    if not finite:
        return []
    top = max(float(limits[0, 1]) for limits in finite)
    written = []
    for method, values in maps.items():
        if valid is not None:
            values = torch.where(valid, values, 0.0)
        share = torch.nan_to_num(values[0] / top, nan=1.0).clamp(0, 1).cpu().numpy()
        colours = torch.from_numpy(colormaps[ERROR_COLOURS](share, bytes=True)[..., :3].copy())
        path = folder / f"{stem}-{plain(method)}-error.png"
        written.append(write_picture(path, set_name, name, method, "error", colours, [0.0, top]))
    return written


def write_picture(
    path: Path,
    set_name: str,
    scene: str,
    method: str,
    kind: str,
    picture: Tensor,
    stretch: Sequence[float] = (),
    note: str = "",
) -> Picture:
    """Write a picture into the figures folder of a run.

    Args:
        path: the file, named by set, scene and method (`plain`).
        method: id of a row, or a name of what is shown beside them.
        kind: ``composite``, ``error`` or ``map``, the group it stands in in the report.
        picture: [H,W,3] uint8.
        stretch: limits of the colours; pictures of one group and stretch may stand side by side.
        note: said above the group.
    """
    from matplotlib.image import imsave

    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, picture.numpy())
    return Picture(f"{path.parent.name}/{path.name}", set_name, scene, method, kind, list(stretch), note)


def centre(length: int, size: int, step: int) -> slice:
    """The middle ``size`` of ``length``, beginning at a multiple of ``step``."""
    if length <= size:
        return slice(0, length)
    start = (length - size) // 2 // step * step
    return slice(start, start + size)


def plain(text: str) -> str:
    """A name without ``=``, ``,`` or space."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_") or "scene"


def _at_quantile(values: Tensor, valid: Tensor, quantile: float) -> tuple[int, int]:
    """Position of the valid pixel that stands at a quantile of an image."""
    flat = values.flatten()
    places = valid.flatten().nonzero()[:, 0]
    order = flat[places].argsort(stable=True)
    place = int(places[order[round((len(order) - 1) * quantile)]])
    return place // values.shape[1], place % values.shape[1]
