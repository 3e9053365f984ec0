"""What the classical methods share: the call, float64, EXP, the filters of the sensor at hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusionbench.errors import DataError
from fusionbench.imaging import check_grid, decimate, expand, imresize, mtf_filter
from fusionbench.imaging.mtf import GENERIC_GAIN, GENERIC_PAN_GAIN


class Pansharpening(nn.Module, ABC):
    """A method without training: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W].

    Any unit (all methods commute with a common factor), computed in float64, returned in the dtype of ``lr``, never
    clipped. Each image is fused by its own statistics.

    Args:
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
        gains: MTF at Nyquist of every band; None: 0.3, the field's value for sensors without a record.
        pan_gain: the same of PAN; None: 0.15.

    Raises:
        ConfigError: unknown grid, or a ratio that it does not have.
    """

    tileable = False  # statistics of the whole scene

    def __init__(
        self,
        ratio: int = 4,
        grid: str = "dlpan",
        gains: Sequence[float] | None = None,
        pan_gain: float | None = None,
    ) -> None:
        super().__init__()
        check_grid(grid, ratio)
        self.ratio, self.grid = ratio, grid
        self.gains = [GENERIC_GAIN] if gains is None else [float(gain) for gain in gains]
        self.pan_gain = GENERIC_PAN_GAIN if pan_gain is None else float(pan_gain)

    @abstractmethod
    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        """exp [N,B,H,W] (upsampled MS), pan [N,1,H,W], ms [N,B,h,w], all float64 -> fused [N,B,H,W]."""

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        """Fuse; DataError where the sizes of lr and guide do not fit the ratio or guide has not one band."""
        sides = tuple(self.ratio * n for n in lr.shape[-2:])
        if guide.shape[-3:] != (1, *sides):
            raise DataError(
                f"{type(self).__name__}: lr {tuple(lr.shape)} at ratio {self.ratio} takes a guide of 1 band and "
                f"{sides[0]} x {sides[1]} px, got {tuple(guide.shape)}"
            )
        ms = lr.double()
        return self.fuse(expand(ms, self.ratio, self.grid), guide.double(), ms).to(lr.dtype)

    def decimate(self, x: Tensor) -> Tensor:
        return decimate(x, self.ratio, self.grid)

    def shrink(self, x: Tensor) -> Tensor:
        """Antialiased bicubic by the ratio."""
        return imresize(x, (x.shape[-2] // self.ratio, x.shape[-1] // self.ratio))

    def blur(self, x: Tensor) -> Tensor:
        """Down and up again by bicubic resizing."""
        return imresize(self.shrink(x), x.shape[-2:])

    def pyramid(self, x: Tensor) -> Tensor:
        """Low pass of a generalised Laplacian pyramid: MTF filter of every band, decimation, EXP."""
        return expand(self.decimate(mtf_filter(x, self.gains, self.ratio)), self.ratio, self.grid)


def per_band(pan: Tensor, exp: Tensor) -> Tensor:
    """PAN [N,1,H,W] once for every band of exp [N,B,H,W]."""
    return pan.expand(-1, exp.shape[1], -1, -1)


def spatial(images: Tensor) -> Tensor:
    """[N,C,H,W] -> [N,C,HW]."""
    return images.flatten(-2)


def with_ones(images: Tensor) -> Tensor:
    """A constant band before the others."""
    return torch.cat([torch.ones_like(images[:, :1]), images], dim=1)
