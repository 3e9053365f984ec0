"""Tensors that adversarial methods derive from inputs and outputs while they train."""

from __future__ import annotations

from torch import Tensor, nn

from fusionbench.imaging import decimate
from fusionbench.networks.blocks.resampling import enlarge, first_sample


class Upsampled(nn.Module):
    """MS on the PAN grid, bicubic (a = -0.75): lr [N,B,h,w] -> lms [N,B,H,W]."""

    def __init__(self, ratio: int, grid: str) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid

    def forward(self, lr: Tensor) -> dict[str, Tensor]:
        return {"lms": enlarge(lr, self.ratio, first_sample(self.ratio, self.grid))}


class Lowered(nn.Module):
    """The fused image clipped to the sensor's range, and its samples on the MS grid without any low pass.

    Shapes: output [N,B,H,W] in digital numbers -> output, clipped to [0, 2^bits], and output_low [N,B,h,w].
    """

    def __init__(self, ratio: int, grid: str, bits: int) -> None:
        super().__init__()
        self.ratio, self.grid, self.limit = ratio, grid, float(2**bits)

    def forward(self, output: Tensor) -> dict[str, Tensor]:
        clipped = output.clamp(0, self.limit)
        return {"output": clipped, "output_low": decimate(clipped, self.ratio, self.grid)}


class Cycle(nn.Module):
    """The generator's second pass: what it makes of its own result's samples on the MS grid.

    Shapes: output [N,B,H,W], guide [N,1,H,W] -> cycle_lr [N,B,h,w], cycle [N,B,H,W].
    """

    def __init__(self, ratio: int, grid: str) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid

    def forward(self, network: nn.Module, output: Tensor, guide: Tensor) -> dict[str, Tensor]:
        low = decimate(output, self.ratio, self.grid)
        return {"cycle_lr": low, "cycle": network(lr=low, guide=guide)}
