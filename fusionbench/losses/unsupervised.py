"""Terms that read the inputs alone: spectra against MS, details against PAN, quality without reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from fusionbench.errors import ConfigError
from fusionbench.imaging import decimate, degrade_ms, expand, gaussian_low_pass
from fusionbench.losses.term import Term, masked_mean

NORMS: dict[str, Callable[[Tensor], Tensor]] = {"l1": torch.abs, "l2": torch.square}
INTENSITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x.mean(dim=1, keepdim=True),
    "max": lambda x: x.amax(dim=1, keepdim=True),
}
LAPLACE = (1.0, 1.0, 1.0, 1.0, -8.0, 1.0, 1.0, 1.0, 1.0)


def _one_of(key: str, value: str, known: Mapping[str, Any]) -> None:
    if value not in known:
        raise ConfigError(f"loss {key}={value}: one of {', '.join(known)}")


def shrunk(mask: Tensor | None, image: Tensor) -> Tensor | None:
    """A mask [N,1,H,W] on the grid of a coarser image [N,C,h,w]: a pixel counts where all beneath it do."""
    if mask is None or mask.shape[-2:] == image.shape[-2:]:
        return mask
    ratio = mask.shape[-1] // image.shape[-1]
    return -max_pool2d(-mask.float(), ratio) > 0


class Compare(Term):
    """Mean difference of two images of one size, on any grid; each is an output, an input or derived from them.

    Args:
        output: first image.
        role: second image.
        norm: ``l1`` or ``l2``.

    Raises:
        ConfigError: unknown norm.
    """

    def __init__(self, output: str, role: str, norm: str = "l1") -> None:
        super().__init__()
        _one_of("Compare.norm", norm, NORMS)
        self.outputs, self.roles, self.norm = (output,), (role,), norm

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        estimate = outputs[self.outputs[0]]
        return masked_mean(NORMS[self.norm](estimate - batch[self.roles[0]]), shrunk(mask, estimate))


class Degraded(Term):
    """The fused image, degraded as the MS sensor would see it, against MS.

    Args:
        gains: MTF at Nyquist, one per band.
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
        norm: ``l1`` or ``l2``.

    Raises:
        ConfigError: unknown norm.
    """

    roles = ("lr",)

    def __init__(self, gains: Sequence[float], ratio: int, grid: str, norm: str = "l1") -> None:
        super().__init__()
        _one_of("Degraded.norm", norm, NORMS)
        self.gains, self.ratio, self.grid, self.norm = list(gains), ratio, grid, norm

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        low = degrade_ms(outputs["output"], self.gains, self.ratio, self.grid)
        return masked_mean(NORMS[self.norm](low - batch["lr"]), shrunk(mask, low))


class HighPass(Term):
    """Details of the fused image's intensity against those of PAN.

    Args:
        intensity: ``mean`` or ``max`` over the bands.
        kernel: ``box`` (image minus its 5x5 mean) or ``laplace`` (3x3, -8 in the middle); zeros beyond the border.
        norm: ``l1`` or ``l2``.

    Raises:
        ConfigError: an unknown choice.
    """

    roles = ("guide",)

    def __init__(self, intensity: str = "mean", kernel: str = "box", norm: str = "l1") -> None:
        super().__init__()
        _one_of("HighPass.intensity", intensity, INTENSITIES)
        _one_of("HighPass.kernel", kernel, HIGH_PASSES)
        _one_of("HighPass.norm", norm, NORMS)
        self.intensity, self.kernel, self.norm = intensity, kernel, norm

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        high = HIGH_PASSES[self.kernel]
        detail = high(INTENSITIES[self.intensity](outputs["output"])) - high(batch["guide"])
        return masked_mean(NORMS[self.norm](detail), mask)


def box_mean(x: Tensor) -> Tensor:
    """5x5 mean of [N,C,H,W]; the zeros beyond the border count."""
    return avg_pool2d(x, 5, stride=1, padding=2)


def laplace(x: Tensor) -> Tensor:
    """Sum of the eight neighbours minus eight times the pixel, of [N,1,H,W]; zeros beyond the border."""
    return conv2d(pad(x, (1, 1, 1, 1)), x.new_tensor(LAPLACE).view(1, 1, 3, 3))


HIGH_PASSES: dict[str, Callable[[Tensor], Tensor]] = {"box": lambda x: x - box_mean(x), "laplace": laplace}


class LowPass(Term):
    """5x5 means of the fused image against those of the upsampled MS (absolute difference).

    Args:
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
    """

    roles = ("lr",)

    def __init__(self, ratio: int, grid: str) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        lms = expand(batch["lr"], self.ratio, self.grid)
        return masked_mean((box_mean(outputs["output"]) - box_mean(lms)).abs(), mask)


class QNR(Term):
    """1 - (1 - D_lambda)(1 - D_s), with Wang and Bovik's index over whole patches, averaged over the batch.

    PAN at the MS scale is a Gaussian low pass decimated on the data's grid. The mask is not used: an index over a whole
    patch has no pixels to leave out.

    Args:
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
        eps: added to the index's denominator.

    Source: Alparone et al., PE&RS 74(2), 2008; as a loss: Zhou et al., IEEE JSTARS 14, 2021 and IEEE TGRS 60, 2022.
    """

    roles = ("lr", "guide")

    def __init__(self, ratio: int, grid: str, eps: float = 1e-8) -> None:
        super().__init__()
        self.ratio, self.grid, self.eps = ratio, grid, eps

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        fused, ms, pan = outputs["output"], batch["lr"], batch["guide"]
        low_pan = decimate(gaussian_low_pass(pan, self.ratio), self.ratio, self.grid)
        spectral = (self._pairs(fused) - self._pairs(ms)).abs()
        bands = spectral.shape[0]
        # a band against itself differs by nothing: the mean is over the ordered pairs of different bands
        d_lambda = spectral.sum() / max(bands * (bands - 1), 1)
        d_s = (self._index(fused, pan) - self._index(ms, low_pan)).abs().mean()
        return 1 - (1 - d_lambda) * (1 - d_s)

    def _pairs(self, x: Tensor) -> Tensor:
        """Index between all bands, [B,B]."""
        return torch.stack([self._index(x, x[:, band : band + 1]) for band in range(x.shape[1])])

    def _index(self, x: Tensor, y: Tensor) -> Tensor:
        """Index of each band of x [N,B,H,W] with y [N,1,H,W], averaged over the batch: [B]."""
        axes = (-2, -1)
        mean_x, mean_y = x.mean(axes, keepdim=True), y.mean(axes, keepdim=True)
        off_x, off_y = x - mean_x, y - mean_y
        covariance = (off_x * off_y).mean(axes)
        variances = off_x.square().mean(axes) + off_y.square().mean(axes)
        means = mean_x.square().flatten(1) + mean_y.square().flatten(1)
        product = (mean_x * mean_y).flatten(1)
        return (4 * covariance * product / (variances * means + self.eps)).mean(dim=0)
