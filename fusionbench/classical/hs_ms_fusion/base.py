"""What the classical methods of HS-MS fusion share: the point spread, its undoing by interpolation, regressions."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from fusionbench.imaging import imresize


def gaussian_psf(ratio: int, fwhm: float | None = None) -> Tensor:
    """Gaussian point spread about the middle of a block of ``ratio`` px: [3 ratio, 3 ratio] float64, sum 1.

    Args:
        ratio: fine pixels per coarse pixel.
        fwhm: full width at half maximum in fine px; None: the ratio.
    """
    place = torch.arange(3 * ratio, dtype=torch.float64) - (3 * ratio - 1) / 2
    taps = 0.5 ** (place / ((ratio if fwhm is None else fwhm) / 2)).square()
    taps = taps / taps.sum()
    return torch.outer(taps, taps)


def degrade(x: Tensor, ratio: int, psf: Tensor | None = None) -> Tensor:
    """Through a point spread, then sampled at the middle of every block: [N,B,H,W] -> [N,B,H/ratio,W/ratio].

    Args:
        x: any unit; borders are mirrored.
        ratio: fine pixels per coarse pixel.
        psf: [k,k] or [1,k,k], k - ratio even; None: `gaussian_psf`.
    """
    kernel = (gaussian_psf(ratio) if psf is None else psf).to(x)
    kernel = kernel.reshape(1, 1, *kernel.shape[-2:])
    margin = (kernel.shape[-1] - ratio) // 2
    flat = _mirrored(x.flatten(0, 1)[:, None], margin)
    return conv2d(flat, kernel, stride=ratio).reshape(*x.shape[:2], x.shape[-2] // ratio, x.shape[-1] // ratio)


def _mirrored(x: Tensor, margin: int) -> Tensor:
    """Borders with the edge pixel repeated in the mirror, as often as small images need."""
    while margin > 0:
        step = min(margin, x.shape[-1], x.shape[-2])
        x = torch.cat([x[..., :step].flip(-1), x, x[..., -step:].flip(-1)], -1)
        x = torch.cat([x[..., :step, :].flip(-2), x, x[..., -step:, :].flip(-2)], -2)
        margin -= step
    return x if margin == 0 else pad(x, (margin,) * 4)


class HSFusion(nn.Module, ABC):
    """A method without training; each image of a batch by its own statistics, in double precision.

    Shapes: lr [N,B,h,w], guide [N,b,H,W] with H = ratio h -> [N,B,H,W], any unit.

    Args:
        ratio: fine pixels per coarse pixel.
    """

    def __init__(self, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        images = [self.fuse(a[None].double(), b[None].double())[0] for a, b in zip(lr, guide, strict=True)]
        return torch.stack(images).to(lr.dtype)

    @abstractmethod
    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        """One image: [1,B,h,w], [1,b,H,W] -> [1,B,H,W], float64."""

    def enlarged(self, lr: Tensor) -> Tensor:
        """Bicubic interpolation to the fine grid."""
        return imresize(lr, [self.ratio * n for n in lr.shape[-2:]])


class Bicubic(HSFusion):
    """Bicubic interpolation (a = -0.5, pixel areas correspond); it does not look at the guide."""

    def fuse(self, lr: Tensor, guide: Tensor) -> Tensor:
        return self.enlarged(lr)


def pixels(image: Tensor) -> Tensor:
    """[1,C,H,W] -> [HW,C]."""
    return image[0].flatten(1).T


def with_constant(x: Tensor) -> Tensor:
    """[n,C] -> [n,C+1] with a column of ones."""
    return torch.cat([x, torch.ones_like(x[:, :1])], 1)


def regression(x: Tensor, y: Tensor) -> Tensor:
    """Least-squares weights [C,D] that explain y [n,D] by x [n,C]."""
    return torch.linalg.lstsq(x, y, driver="gelsd").solution
