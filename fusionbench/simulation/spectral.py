"""A scene seen in any number of bands: maps of some two dozen basis spectra are drawn and filtered, not the bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fusionbench.errors import ConfigError
from fusionbench.sensors import Band, spectrometer
from fusionbench.simulation.light import Atmosphere, solar_irradiance
from fusionbench.simulation.materials import WAVELENGTHS, library
from fusionbench.simulation.noise import cascade, stream
from fusionbench.simulation.observe import STRIP, with_vehicles
from fusionbench.simulation.optics import blur, gaussian_taps, halve, sample
from fusionbench.simulation.scene import Scene, build_scene

FULL = 10000.0  # DN of reflectance 1
FINE = np.arange(350.0, 2526.0, 2.0)  # nm, fine enough for narrow bands
# too narrow for the bands of a guide, nm and standard deviation: carotenoids, chlorophyll b, iron oxides, where the red
# edge lies; beyond 1 um lignin, hydrocarbons, cellulose, clay, carbonate
FEATURES = (
    (455, 12), (495, 12), (535, 14), (590, 14), (640, 12), (702, 12), (775, 18), (870, 25), (1180, 25), (1730, 25),
    (2100, 30), (2205, 20), (2330, 25),
)  # fmt: skip
DEPTH = 0.11  # standard deviation of a feature's depth, relative
MOST = 48  # basis spectra
LEFT = 3e-4  # of the spectra's norm may stay unexplained
PARTS = ("reflectance", "first", "second")


@dataclass(frozen=True)
class Spectra:
    """All that a pixel of a scene can be in some bands, as coefficients of basis spectra; values in DN.

    Args:
        basis: [K, B] float32.
        lit, shaded: [4, M, K] coefficients of each material's mean, its two shape components (see ``materials``) and
            its narrow features in direct and in sky light.
        product: [M, M, 2, K] of light reflected twice between two materials, in direct and in sky light.
        path: [B] float32 DN that the air adds.
    """

    basis: np.ndarray
    lit: np.ndarray
    shaded: np.ndarray
    product: np.ndarray
    path: np.ndarray


def hs_bands(low: float, high: float, count: int, width: float | None = None) -> tuple[Band, ...]:
    """Evenly spaced Gaussian bands from ``low`` to ``high`` nm, ``width`` nm wide (default: their distance)."""
    return spectrometer(low, high, count, width)


def band_weights(bands: Sequence[Band]) -> tuple[np.ndarray, np.ndarray]:
    """What counts in each band: response times solar irradiance, rows summing to 1.

    Args:
        bands: B of them.

    Returns:
        [B, F] at FINE, and [B, L] at the wavelengths of the material library (constant beyond its ends).
    """
    fine = np.stack([band.response(FINE) for band in bands]) * solar_irradiance(FINE)
    total = fine.sum(1, keepdims=True)
    fine = fine / np.where(total > 0, total, 1.0)
    step = WAVELENGTHS[1] - WAVELENGTHS[0]
    place = np.clip((FINE - WAVELENGTHS[0]) / step, 0, len(WAVELENGTHS) - 1)
    left = np.minimum(place.astype(int), len(WAVELENGTHS) - 2)
    nodes = np.zeros((len(FINE), len(WAVELENGTHS)))
    nodes[np.arange(len(FINE)), left] = 1 - (place - left)
    nodes[np.arange(len(FINE)), left + 1] = place - left
    return fine, fine @ nodes


def spectra_of(bands: Sequence[Band], air: Atmosphere, product: str) -> Spectra:
    """The basis spectra of some bands under an atmosphere.

    Args:
        bands: B of them.
        air: of the scene.
        product: ``reflectance`` (without path radiance, over light on level ground) or ``radiance`` (apparent).

    Raises:
        ConfigError: another product.
    """
    if product not in ("reflectance", "radiance"):
        raise ConfigError(f"product={product}: must be reflectance or radiance")
    fine, nodes = band_weights(bands)
    parts = np.array([[getattr(m, part) for m in library()] for part in PARTS])
    curves = np.concatenate([parts, narrow_features()[None]]) @ nodes.T  # [4, M, B]
    sky = fine @ air.diffuse(FINE)
    through = fine @ air.transmittance(FINE) if product == "radiance" else np.ones(len(bands))
    path = fine @ air.path(FINE) if product == "radiance" else np.zeros(len(bands))
    direct, diffuse = FULL * through * (1 - sky), FULL * through * sky
    twice = curves[0][:, None] * curves[0][None]
    rows = [curves * direct, curves * diffuse, 0.5 * twice * direct, 0.5 * twice * diffuse]
    matrix = np.concatenate([part.reshape(-1, len(bands)) for part in rows])
    strength, vectors = np.linalg.svd(matrix, full_matrices=False)[1:]
    left = np.sqrt(np.cumsum(strength[::-1] ** 2)[::-1] / (strength**2).sum())
    count = int(min(MOST, max(1, (left > LEFT).sum())))
    basis = vectors[:count]
    basis = np.round(basis * np.sign(basis[np.arange(count), np.abs(basis).argmax(1)])[:, None], 7)
    lit, shaded, *both = (np.round(part @ basis.T, 3).astype(np.float32) for part in rows)
    return Spectra(
        basis.astype(np.float32), lit, shaded, 2 * np.stack(both, 2), np.round(path * FULL, 3).astype(np.float32)
    )


@lru_cache(maxsize=1)
def narrow_features() -> np.ndarray:
    """[M, L] change of reflectance by FEATURES, one standard deviation: how deep each is differs by material."""
    bumps = np.exp(-0.5 * np.stack([(WAVELENGTHS - center) / width for center, width in FEATURES]) ** 2)
    at = [int(np.abs(WAVELENGTHS - center).argmin()) for center, _ in FEATURES]
    depths = stream(0, "narrow features").normal(0, DEPTH, (len(library()), len(FEATURES)))
    return np.round((depths * np.array([m.reflectance[at] for m in library()])) @ bumps, 6)


@lru_cache(maxsize=2)
def _features_of(seed: int, size: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """How strong the narrow features are: one number per block, and a map on top, both with standard deviation 0.7."""
    rng = stream(seed, "narrow features")
    top = max(2, int(math.log2(size)) - 3)
    return rng.normal(0, 0.7, blocks).astype(np.float32), cascade(rng, size, size, {top: 0.5, max(top - 2, 1): 0.5})


def coefficients(scene: Scene, spectra: Spectra, box: int, moment: int | None = None) -> np.ndarray:
    """Maps of the basis spectra averaged over box x box pixels of the scene.

    Args:
        scene: to look at.
        spectra: of the bands.
        box: px of the scene; divides its size.
        moment: 0 or 1: where the moving vehicles are; None: without them.

    Returns:
        [K, N / box, N / box] float32.
    """
    size, count = scene.first.shape[0], len(spectra.basis)
    out = np.empty((count, size // box, size // box), np.float32)
    labels = (scene.first, scene.second) if moment is None else with_vehicles(scene, moment)
    strip = max(box, STRIP // box * box)
    materials = spectra.lit.shape[1]
    by_block, patches = _features_of(scene.seed, size, len(scene.uses))
    for start in range(0, size, strip):
        rows = slice(start, min(start + strip, size))
        first, second = (one[rows].astype(np.intp) for one in labels)
        mix, aged, tinted = scene.mix[rows], scene.aged[rows], scene.tinted[rows]
        narrow = by_block.take(scene.block[rows]) + patches[rows]
        direct, sky = scene.direct[rows] * scene.bright[rows], scene.sky[rows] * scene.bright[rows]
        some = np.nonzero(scene.bilinear[rows] * (first != second))
        pairs = (first * materials + second)[some]
        for k in range(count):
            total = np.zeros(mix.shape, np.float32)
            for light, tables, which in ((direct, spectra.lit, 0), (sky, spectra.shaded, 1)):
                a = tables[0, :, k].take(first)
                value = (tables[0, :, k].take(second) - a) * mix
                value += a
                value += tables[1, :, k].take(first) * aged
                value += tables[2, :, k].take(first) * tinted
                value += tables[3, :, k].take(first) * narrow
                value[some] += spectra.product[:, :, which, k].ravel().take(pairs) * scene.bilinear[rows][some]
                value *= light
                total += value
            out[k, rows.start // box : rows.stop // box] = mean(total, box)
    return out


def mean(image: np.ndarray, box: int) -> np.ndarray:
    """Mean over box x box px of [H, W]."""
    if box == 1:
        return image
    height, width = image.shape
    return np.asarray(image.reshape(height // box, box, width // box, box).mean((1, 3), dtype=np.float32))


def scene_for(
    seed: int,
    size: int,
    gsd: float,
    finer: int = 2,
    day: int | None = None,
    displacement: float = 0.0,
    scale: float | None = None,
) -> Scene:
    """A scene large enough for ``size`` px of ``gsd`` m, its grid ``finer`` times finer; see ``scene.build_scene``.

    Raises:
        ConfigError: a negative seed or a size below 16.
    """
    if seed < 0 or size < 16:
        raise ConfigError(f"simulate: seed={seed}, size={size}: the seed must be 0 or above, the size 16 px or above")
    return build_scene(seed, -(-size * finer // 16) * 16, gsd / finer, displacement, day, scale=scale)


def observe_bands(
    scene: Scene,
    bands: Sequence[Band],
    gsd: float,
    size: int,
    mtf: float = 0.3,
    fwhm: float | None = None,
    product: str = "reflectance",
    shift: tuple[float, float] = (0.0, 0.0),
    moment: int | None = None,
) -> np.ndarray:
    """A scene in any bands, without noise, on the area grid from its top left corner.

    Args:
        scene: to look at.
        bands: B of them.
        gsd: m, a whole multiple of the scene's pixel.
        size: px in one direction.
        mtf: gain at the Nyquist frequency of ``gsd``; the point spread is a Gaussian.
        fwhm: its full width at half maximum in px of ``gsd``, instead of ``mtf``.
        product: see :func:`spectra_of`.
        shift: px of ``gsd`` (rows, columns) that the sensor looks aside.
        moment: see :func:`coefficients`.

    Returns:
        [B, size, size] float32 DN, at least 1.
    """
    spectra = spectra_of(bands, scene.air, product)
    factor = whole(gsd / scene.pixel)
    box = factor // 2 if factor % 2 == 0 else 1
    maps = coefficients(scene, spectra, box, moment)
    gain = (mtf if fwhm is None else gain_of(fwhm)) / averaging_gain(box, 0.5 / factor)
    return cube(spectra, through(maps, factor // box, size, gain, shift))


def whole(factor: float) -> int:
    """A ratio of grids as a whole number.

    Raises:
        ConfigError: it is none.
    """
    nearest = round(factor)
    if nearest < 1 or abs(factor - nearest) > 1e-6:
        raise ConfigError(f"a GSD of {factor:g} scene pixels: must be a whole number of them")
    return nearest


def averaging_gain(count: int, frequency: float) -> float:
    """What a mean over ``count`` px leaves of a frequency in cycles/px."""
    return float(np.sin(np.pi * count * frequency) / (count * np.sin(np.pi * frequency)))


def through(maps: np.ndarray, step: int, size: int, gain: float, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Maps through a Gaussian point spread, sampled at the centres of step x step px.

    Args:
        maps: [K, n, n].
        step: 2 or an odd number.
        size: of what is sampled, px.
        gain: of the point spread at its Nyquist frequency.
        shift: (rows, columns) to look aside, in sampled px.

    Returns:
        [K, size, size] float32.
    """
    if step == 2 and not any(shift):
        taps = gaussian_taps(gain, 0.25, 0.25)
        return np.stack([halve(blur(plane, taps))[:size, :size] for plane in maps])
    taps = gaussian_taps(gain, 0.5 / step, 0.0)
    rows, columns = (((np.arange(size) + 0.5 + aside) * step - 0.5).astype(np.float32) for aside in shift)
    grid = np.broadcast_arrays(rows[:, None], columns[None, :])
    return np.stack([sample(blur(plane, taps), grid[0], grid[1]) for plane in maps])


def gain_of(fwhm: float) -> float:
    """Gain at Nyquist of a Gaussian whose full width at half maximum is given in px."""
    return float(np.exp(-((np.pi * fwhm / 2) ** 2) / (4 * np.log(2))))


def cube(spectra: Spectra, maps: np.ndarray) -> np.ndarray:
    """Bands from maps of basis spectra: [K, h, w] -> [B, h, w] DN, at least 1."""
    image = np.tensordot(spectra.basis, maps, axes=(0, 0)) + spectra.path[:, None, None]
    return np.maximum(image, np.float32(1), dtype=np.float32)


def noisy(image: np.ndarray, snr: float | Sequence[float] | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Read-out and photon noise, then whole DN.

    Args:
        image: [B, H, W] DN.
        snr: signal-to-noise ratio at a band's mean, one or B; a third of the noise power does not depend on the signal.
        rng: source of the noise.

    Returns:
        [B, H, W] float32, whole numbers of 0 or above.
    """
    out = np.empty_like(image)
    for index, (band, ratio) in enumerate(zip(image, np.broadcast_to(snr, len(image)), strict=True)):
        level = round(float(band.mean(dtype=np.float64)), 2)
        power = (level / float(ratio)) ** 2
        sd = np.sqrt(np.float32(power / 3) + band * np.float32(power / level * 2 / 3))
        out[index] = np.maximum(np.rint(band + sd * rng.standard_normal(band.shape, np.float32)), 0)
    return out
