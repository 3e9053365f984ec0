"""Low-pass filters: matched to a sensor's MTF, generic Gaussian, undecimated wavelet, box.

Aiazzi, Alparone, Baronti, Garzelli, Selva, MTF-tailored multiscale fusion of high-resolution MS and Pan imagery,
PE&RS 72(5), 2006; design of the kernels as in Vivone et al., IEEE TGRS 53(5), 2015.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fusionbench.errors import ConfigError
from fusionbench.imaging.borders import extend, in_pieces, weighted_sum

SIZE = 41  # px, side of the kernels
GENERIC_GAIN = 0.3  # of MS bands without a record; the generic Gaussian has it too
GENERIC_PAN_GAIN = 0.15
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def mtf_kernel(gain: float, ratio: float, size: int = SIZE) -> Tensor:
    """Low-pass kernel whose frequency response is a Gaussian of the given gain at the MS grid's Nyquist frequency.

    Args:
        gain: MTF at Nyquist, 0 < gain < 1.
        ratio: PAN pixels per MS pixel; the Nyquist frequency is 1 / (2 ratio) cycles per PAN pixel.
        size: side, odd.

    Returns:
        [size, size] float64, sum slightly below 1 (.9985 to .999 at ratio 4), as in the field's toolbox.

    Raises:
        ConfigError: a gain outside of (0, 1).
    """
    _check_gain(gain)
    return _kernel(float(gain), float(ratio), size, size - 1).clone()


def _check_gain(gain: float) -> None:
    if not 0 < gain < 1:
        raise ConfigError(f"an MTF gain at Nyquist lies between 0 and 1, {gain} does not: see the sensor's record")


@lru_cache(maxsize=64)
def _kernel(gain: float, ratio: float, size: int, span: int) -> Tensor:
    """Frequency sampling, windowed by a rotated Kaiser window (beta 0.5); the Gaussian's width is set by ``span``."""
    half = (size - 1) // 2
    alpha = math.sqrt((span / ratio / 2) ** 2 / (-2 * math.log(gain)))
    offset = torch.arange(-half, half + 1, dtype=torch.float64)
    square = offset[:, None] ** 2 + offset[None, :] ** 2
    response = torch.exp(-square / (2 * alpha**2))
    response = torch.where(response < torch.finfo(torch.float64).eps, 0.0, response)
    impulse = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(response))).real
    return impulse * _rotated(torch.kaiser_window(size, periodic=False, beta=0.5, dtype=torch.float64), square.sqrt())


def _rotated(window: Tensor, radius: Tensor) -> Tensor:
    """A symmetric window as a function of the radius in px, linear between its samples, 0 beyond its ends."""
    half = (len(window) - 1) // 2
    low = radius.floor().clamp(max=half - 1).long()
    part = radius - low
    value = window[half + low] * (1 - part) + window[half + low + 1] * part
    return torch.where(radius <= half, value, 0.0)


def mtf_filter(x: Tensor, gains: float | Sequence[float], ratio: int) -> Tensor:
    """Low-pass every band with its own MTF-matched kernel; replicated borders, no decimation.

    Args:
        x: [..., B, H, W], floating point, any unit.
        gains: MTF at the MS Nyquist frequency, one per band or one for all.
        ratio: PAN pixels per MS pixel.

    Returns:
        [..., B, H, W], same dtype.

    Raises:
        ConfigError: as many gains as there are bands were not given, or a gain outside of (0, 1).
    """
    per_band = [float(gains)] if isinstance(gains, int | float) else [float(gain) for gain in gains]
    if len(per_band) == 1:
        per_band *= x.shape[-3]
    if len(per_band) != x.shape[-3]:
        raise ConfigError(f"data.mtf.gains: {len(per_band)} gains for {x.shape[-3]} bands; give one per band, in order")
    for gain in per_band:
        _check_gain(gain)
    return _correlate(x, [_kernel(gain, float(ratio), SIZE, SIZE - 1) for gain in per_band])


def gaussian_low_pass(x: Tensor, ratio: int) -> Tensor:
    """Generic Gaussian low pass (gain 0.3 at the MS Nyquist frequency) of x [..., C, H, W]; replicated borders.

    The design of ``mtf_filter`` with 41 instead of 40 samples per unit of frequency, as in the field's toolbox.
    """
    return _correlate(x, [_kernel(GENERIC_GAIN, float(ratio), SIZE, SIZE)] * x.shape[-3])


def _correlate(x: Tensor, kernels: Sequence[Tensor]) -> Tensor:
    """Each band of x [..., B, H, W] with its own symmetric kernel, replicated borders, by FFT one band at a time."""
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    height, width = x.shape[-2:]
    margin = len(kernels[0]) - 1
    size = tuple(next_fast_len(n + margin, real=True) for n in (height, width))
    spectra: dict[int, Tensor] = {}
    bands = []
    for band, kernel in enumerate(kernels):
        if id(kernel) not in spectra:
            spectra[id(kernel)] = torch.fft.rfft2(kernel.to(x.device, dtype), s=size)
        padded = x[..., band, :, :].to(dtype)
        for axis in (-2, -1):
            padded = extend(padded, margin // 2, margin // 2, axis, "replicate")
        filtered = torch.fft.irfft2(torch.fft.rfft2(padded, s=size) * spectra[id(kernel)], s=size)
        bands.append(filtered[..., margin : margin + height, margin : margin + width])
    return torch.stack(bands, dim=-3).to(x.dtype)


def wavelet_low_pass(x: Tensor, ratio: int) -> Tensor:
    """Approximation of the undecimated wavelet of the field's toolbox: log2(ratio) levels of [1 4 6 4 1] / 16.

    Analysis and synthesis both filter, without dilation: away from the border two levels are one 17-tap binomial. Each
    analysis step continues the array at hand symmetrically and keeps two samples more on each side.

    Args:
        x: [..., H, W], floating point.
        ratio: PAN pixels per MS pixel; the number of levels is rounded where it is no power of two.
    """
    levels = max(round(math.log2(ratio)), 1)

    def smooth(x: Tensor) -> Tensor:
        for axis in (-2, -1):
            for _ in range(levels):
                x = extend(x, 4, 4, axis, "symmetric")
                x = weighted_sum(x, BINOMIAL, axis, 0, x.shape[axis] - 4)
            for _ in range(levels):
                x = weighted_sum(x, BINOMIAL, axis, 0, x.shape[axis] - 4)
        return x

    return in_pieces(smooth, x)


def box_filter(x: Tensor, size: int, border: str = "replicate") -> Tensor:
    """Mean over size x size px (size odd) of x [..., C, H, W]; ``border`` as in ``extend``.

    Raises:
        ValueError: an even size, or an unknown border.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a box has an odd side, got {size}")
    shape = x.shape
    x = x.reshape(-1, 1, *shape[-2:])
    for axis in (-2, -1):
        x = extend(x, size // 2, size // 2, axis, border)
    return avg_pool2d(avg_pool2d(x, (size, 1), 1), (1, size), 1).reshape(shape)
