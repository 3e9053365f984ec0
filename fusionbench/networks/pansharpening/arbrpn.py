"""ArbRPN (Chen et al., IEEE TGRS 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.utils.checkpoint import checkpoint

from fusionbench.imaging import check_grid
from fusionbench.networks.blocks import enlarge, first_sample


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(relu(self.conv1(x)))


class _Cell(nn.Module):
    """Recurrent cell: input, hidden state and PAN state, [N,C,H,W] each, -> the next hidden state."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3 * channels, channels, 1)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(depth)))

    def forward(self, x: Tensor, hidden: Tensor, pan: Tensor) -> Tensor:
        return self.blocks(self.conv(torch.cat([x, hidden, pan], dim=1)))


class ArbRPN(nn.Module):
    """ArbRPN: one recurrent network runs over the bands forth and back, several times, beside PAN's features.

    Shapes: lr [N,B,h,w] with any B, guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values scaled to [0, 1], not
    clipped. No weight depends on the number of bands: one trained model fuses images of any.

    Args:
        bands: not used; it is there because every network has it.
        cycles: forth-and-back passes, each with weights of its own.
        recompute: keep only the hidden states of a training step and compute the rest again: a tenth of the memory
            for a third more time.

    Source: Chen et al., ArbRPN: A Bidirectional Recurrent Pansharpening Network for Multispectral Images With
    Arbitrary Numbers of Bands, IEEE TGRS 60, 2022.
    """

    def __init__(
        self,
        bands: int | None = None,
        ratio: int = 4,
        grid: str = "dlpan",
        channels: int = 64,
        blocks: int = 3,
        cycles: int = 5,
        recompute: bool = True,
    ) -> None:
        super().__init__()
        check_grid(grid, ratio)
        self.ratio, self.first, self.recompute = ratio, first_sample(ratio, grid), recompute
        self.wrapper = nn.Conv2d(1, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.forward_list = nn.ModuleList(_Cell(channels, blocks) for _ in range(cycles))
        self.backward_list = nn.ModuleList(_Cell(channels, blocks) for _ in range(cycles))
        self.conv2 = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        upsampled = enlarge(lr, self.ratio, self.first)
        pan = hidden = self.wrapper(guide)
        states = [self.conv1(upsampled[:, band : band + 1]) for band in range(lr.shape[1])]
        for forth, back in zip(self.forward_list, self.backward_list, strict=True):
            for cell, order in ((forth, range(len(states))), (back, reversed(range(len(states))))):
                for band in order:
                    hidden = states[band] = self._step(cell, states[band], hidden, pan)
        return upsampled + torch.cat([self.conv2(state) for state in states], dim=1)

    def _step(self, cell: nn.Module, x: Tensor, hidden: Tensor, pan: Tensor) -> Tensor:
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(cell, x, hidden, pan, use_reentrant=False)
        return cell(x, hidden, pan)
