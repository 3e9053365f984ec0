"""Band-dependent spatial detail."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusionbench.classical.pansharpening.base import Pansharpening
from fusionbench.classical.pansharpening.statistics import least_squares
from fusionbench.errors import ConfigError
from fusionbench.imaging import mtf_filter


class BDSD(Pansharpening):
    """Detail of every band as a combination of all bands and PAN, fitted one resolution lower by least squares.

    Args:
        block: side of the blocks that are fitted on their own, px of PAN: a multiple of the ratio that divides the
            image; None: the whole image.

    Source: Garzelli, Nencini, Capobianco, Optimal MMSE pan sharpening of very high resolution multispectral images,
    IEEE TGRS 46(1), 2008.
    """

    def __init__(
        self,
        ratio: int = 4,
        grid: str = "dlpan",
        gains: Sequence[float] | None = None,
        pan_gain: float | None = None,
        block: int | None = None,
    ) -> None:
        super().__init__(ratio, grid, gains, pan_gain)
        if block is not None and (block < ratio or block % ratio):
            raise ConfigError(f"model.module.method.block={block}: a multiple of the ratio, {ratio}")
        self.block = block

    def fuse(self, exp: Tensor, pan: Tensor, ms: Tensor) -> Tensor:
        sides = exp.shape[-2:]
        block = sides if self.block is None else (self.block, self.block)
        if any(side % part for side, part in zip(sides, block, strict=True)):
            raise ConfigError(
                f"model.module.method.block={self.block}: does not divide an image of {sides[0]} x {sides[1]} px"
            )
        columns, detail = self.lower(exp, pan)
        low_block = (block[0] // self.ratio, block[1] // self.ratio)
        weights = self.fit(into_blocks(columns, low_block), into_blocks(detail, low_block))
        added = weights @ into_blocks(torch.cat([exp, pan], dim=1), block)
        return exp + from_blocks(added, block, sides)

    def lower(self, exp: Tensor, pan: Tensor) -> tuple[Tensor, Tensor]:
        """One resolution lower: the regressors (bands and PAN, low-passed) [N,B+1,h,w] and the detail [N,B,h,w]."""
        bands = self.shrink(exp)
        smooth = mtf_filter(bands, self.gains, self.ratio)
        low_pan = self.decimate(mtf_filter(pan, self.pan_gain, self.ratio))
        return torch.cat([smooth, low_pan], dim=1), bands - smooth

    def fit(self, columns: Tensor, detail: Tensor) -> Tensor:
        """Weights [N,blocks,B,B+1] of the regressors for the detail of every band."""
        return least_squares(columns, detail)


def into_blocks(x: Tensor, block: Sequence[int]) -> Tensor:
    """[N,C,H,W] -> [N,blocks,C,pixels of a block]."""
    count, channels, height, width = x.shape
    x = x.reshape(count, channels, height // block[0], block[0], width // block[1], block[1])
    return x.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, channels, block[0] * block[1])


def from_blocks(x: Tensor, block: Sequence[int], sides: Sequence[int]) -> Tensor:
    """The inverse of ``into_blocks`` for an image of ``sides``."""
    count, _, channels, _ = x.shape
    x = x.reshape(count, sides[0] // block[0], sides[1] // block[1], channels, block[0], block[1])
    return x.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, *sides)
