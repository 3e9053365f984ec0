"""Morphological half-gradient pyramid."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import EPS, matched
from fusionbench.errors import ConfigError
from fusionbench.imaging import imresize
from fusionbench.imaging.borders import extend
from fusionbench.imaging.interpolation import is_power_of_two


class MF(Pansharpening):
    """Modulation by the PAN matched to each band over its morphological low pass: a pyramid of half gradients.

    Source: Restaino, Vivone, Dalla Mura, Chanussot, Fusion of multispectral and panchromatic images based on
    morphological operators, IEEE TIP 25(6), 2016.
    """

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        if not is_power_of_two(self.ratio):
            raise ConfigError(f"model=mf: its pyramid halves, data.ratio={self.ratio} is no power of two")
        sharp = matched(pan, exp)
        low, sizes = sharp, []
        for level in range(self.ratio.bit_length() - 1):
            sizes.append(low.shape[-2:])
            start = 1 if level == 0 else 0
            low = half_gradient(low)[..., start::2, start::2]
        for size in reversed(sizes):
            low = imresize(low, size, "bilinear")
        return exp * sharp / (low + EPS)


def half_gradient(x: Tensor) -> Tensor:
    """x minus half the difference of its two gradients: the mean of dilation and erosion by a 3 x 3 cross."""
    around = [x]
    for axis in (-2, -1):
        wide = extend(x, 1, 1, axis, "replicate")
        around += [wide.narrow(axis, start, x.shape[axis]) for start in (0, 2)]
    return 0.5 * (reduce(torch.maximum, around) + reduce(torch.minimum, around))
