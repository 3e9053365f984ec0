"""Look at the pixels of a data set before anything is trained on them: depth, gaps, correlation, registration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fusionbench.data.parts import identity, scene_shift
from fusionbench.data.protocol import SATURATION
from fusionbench.data.readers.hdf5 import Hdf5File, Hdf5Image
from fusionbench.data.readers.image import Image, Window
from fusionbench.data.split import SUBSETS

if TYPE_CHECKING:
    from fusionbench.data.spatiospectral import SpatioSpectralDataModule

STRIP = 256  # rows of MS looked at together
PATCHES = 200  # of a file of ready patches, spread over it
SHIFT_WARNING = 0.25  # px of MS
SATURATION_WARNING = 0.01  # share of an image's numbers


@dataclass(frozen=True)
class Finding:
    """What one pair, or one file of patches, holds.

    Args:
        name: scene or file.
        sets: where it is used (``train``, ``val``, ``test``, ``reduced``, ``full``).
        ms, pan: channels, rows, columns.
        dtype: of the stored numbers.
        bits: bit depth in use.
        needed: bits that the largest number needs.
        saturated: share of numbers at the top of the bit depth, MS and PAN.
        missing: share of pixels without data, MS and PAN.
        correlation: smallest and mean correlation between two MS bands; NaN where a band does not vary.
        pan_correlation: of the bands' mean with PAN averaged over MS pixels.
        shift: rows and columns (PAN px) by which PAN would have to be moved; None for single patches.
        fit: R2 of low-passed PAN on MS before and after that move; None for single patches.
    """

    name: str
    sets: tuple[str, ...]
    ms: tuple[int, ...]
    pan: tuple[int, ...]
    dtype: str
    bits: int
    needed: int
    saturated: tuple[float, float]
    missing: tuple[float, float]
    correlation: tuple[float, float]
    pan_correlation: float
    shift: tuple[float, float] | None = None
    fit: tuple[float, float] | None = None

    def warnings(self, ratio: int) -> list[str]:
        """What a person should know before using the pair."""
        said = []
        if self.needed > self.bits:
            said.append(f"{self.name}: its numbers need {self.needed} bits, the set is read as {self.bits} (data.bits)")
        if self.needed < self.bits - 2:
            said.append(
                f"{self.name}: its numbers need only {self.needed} bits, the set is read as {self.bits}: is it "
                f"rescaled? data.bits={self.needed} would use the range"
            )
        if max(self.saturated) > SATURATION_WARNING:
            said.append(f"{self.name}: {100 * max(self.saturated):.1f} % of the numbers are saturated")
        if max(self.missing) > 0:
            said.append(f"{self.name}: {100 * max(self.missing):.2f} % of the pixels have no data; they are masked")
        if self.shift is not None and max(map(abs, self.shift)) / ratio > SHIFT_WARNING:
            ready = {"reduced", "full"} & set(self.sets)
            advice = "published so: it stays" if ready else "compare data.align=none with data.align=global"
            said.append(f"{self.name}: PAN lies {max(map(abs, self.shift)) / ratio:.2f} MS pixels off MS; {advice}")
        return said


class _Statistics:
    """Sums over the strips of a pair, from which its finding is made."""

    def __init__(self, bits: int, ratio: int) -> None:
        self.top, self.bits, self.ratio = 2**bits - SATURATION, bits, ratio
        self.largest, self.used = 0.0, 0
        self.total: np.ndarray | None = None
        self.products: np.ndarray | None = None
        self.numbers, self.high = np.zeros(2), np.zeros(2)
        self.pixels, self.gaps = np.zeros(2), np.zeros(2)

    def add(self, ms: np.ndarray, ms_valid: np.ndarray, pan: np.ndarray, pan_valid: np.ndarray) -> None:
        """One strip: values [B, h, w] and [1, r h, r w] with their valid pixels."""
        for i, (values, valid) in enumerate(((ms, ms_valid), (pan, pan_valid))):
            inside = values[:, valid]
            self.numbers[i] += inside.size
            self.high[i] += np.count_nonzero(inside >= self.top)
            self.pixels[i] += valid.size
            self.gaps[i] += valid.size - np.count_nonzero(valid)
            self.largest = max(self.largest, float(inside.max(initial=0)))
        rows, columns = ms.shape[1:]
        blocks = (rows, self.ratio, columns, self.ratio)
        valid = ms_valid & pan_valid.reshape(blocks).all((1, 3))
        means = pan[0].astype(np.float64).reshape(blocks).mean((1, 3))
        stack = np.concatenate([ms.astype(np.float64), means[None], ms.astype(np.float64).mean(0, keepdims=True)])
        inside = stack[:, valid]
        if self.total is None or self.products is None:
            self.total, self.products = np.zeros(len(stack)), np.zeros((len(stack), len(stack)))
        self.used += inside.shape[1]
        self.total += inside.sum(1)
        self.products += inside @ inside.T

    def finding(self, name: str, sets: tuple[str, ...], ms: Image, pan: Image) -> Finding:
        """Without the shift."""
        correlation = self._correlation(ms.shape[0])
        bands = correlation[: ms.shape[0], : ms.shape[0]][np.triu_indices(ms.shape[0], 1)]
        saturated, missing = (
            tuple(float(a / b) if b else 0.0 for a, b in zip(part, whole, strict=True))
            for part, whole in ((self.high, self.numbers), (self.gaps, self.pixels))
        )
        return Finding(
            name=name,
            sets=sets,
            ms=ms.shape,
            pan=pan.shape,
            dtype=str(ms.dtype),
            bits=self.bits,
            needed=max(int(self.largest).bit_length(), 1),
            saturated=(saturated[0], saturated[1]),
            missing=(missing[0], missing[1]),
            correlation=(float(bands.min()), float(bands.mean())) if bands.size else (1.0, 1.0),
            pan_correlation=float(correlation[-2, -1]),
        )

    def _correlation(self, bands: int) -> np.ndarray:
        if self.total is None or self.products is None or not self.used:
            return np.full((bands + 2, bands + 2), np.nan)
        mean = self.total / self.used
        covariance = self.products / self.used - np.outer(mean, mean)
        spread = np.sqrt(np.clip(np.diag(covariance), 0, None))
        with np.errstate(divide="ignore", invalid="ignore"):
            return covariance / np.outer(spread, spread)


def examine(data: SpatioSpectralDataModule) -> Iterable[Finding]:
    """Look at every pair of a data set in files, strip by strip, and at files of ready patches by a sample.

    Args:
        data: with ``source=files``.

    Yields:
        One finding per pair, in the order of the data set; then one per file of patches.

    Raises:
        DataError: a file cannot be read, or a pair does not belong together.
    """
    for scene in data.source.scenes:
        used = {piece.subset for piece in data.split.pieces if piece.scene == scene.name}
        bits = data.bits if scene.bits is None else scene.bits
        yield _pair(data, scene.name, tuple(s for s in SUBSETS if s in used), scene.ms, scene.pan, bits)
    for name in ("reduced", "full"):
        for ready in getattr(data.source, name):
            bits = data.bits if ready.bits is None else ready.bits
            yield _pair(data, ready.name, (name,), ready.roles["lr"], ready.roles["guide"], bits)
    for name, file in (("train", data.source.train), ("val", data.source.val)):
        if file is not None:
            yield _patches(data, name, file)


def _pair(
    data: SpatioSpectralDataModule, name: str, sets: tuple[str, ...], ms: Image, pan: Image, bits: int
) -> Finding:
    statistics = _Statistics(bits, data.ratio)
    _, rows, columns = ms.shape
    for top in range(0, rows, STRIP):
        window = Window(top, min(top + STRIP, rows), 0, columns)
        statistics.add(*_read(ms, window), *_read(pan, window.times(data.ratio)))
    found = statistics.finding(name, sets, ms, pan)
    if found.missing[0] == 1 or found.missing[1] == 1:
        return found
    # keyed as the data module keys it: a run that follows finds the estimate
    known = {"ms": identity(ms), "pan": identity(pan), "nodata": [getattr(i, "nodata", None) for i in (ms, pan)]}
    shift = scene_shift(data.cache, known, ms, pan, data.ratio, data.grid)
    return Finding(
        **{**vars(found), "shift": (shift["dy"], shift["dx"]), "fit": (shift["r2_before"], shift["r2_after"])}
    )


def _patches(data: SpatioSpectralDataModule, name: str, file: Hdf5File) -> Finding:
    statistics = _Statistics(data.bits, data.ratio)
    for i in np.unique(np.linspace(0, len(file) - 1, min(len(file), PATCHES)).astype(int)):
        images = [Hdf5Image(file, key, int(i)) for key in ("ms", "pan")]
        window = Window(0, images[0].shape[1], 0, images[0].shape[2])
        statistics.add(*_read(images[0], window), *_read(images[1], window.times(data.ratio)))
    images = [Hdf5Image(file, key, 0) for key in ("ms", "pan")]
    return statistics.finding(f"{file.path.name} ({len(file)} patches)", (name,), images[0], images[1])


def _read(image: Image, window: Window) -> tuple[np.ndarray, np.ndarray]:
    values, valid = image.read(window)
    return values, np.ones(window.shape, bool) if valid is None else valid
