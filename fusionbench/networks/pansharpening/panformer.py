"""PanFormer (Zhou et al., ICME 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

from fusionbench.networks.blocks import WindowAttention, pad_to_multiple

WINDOW = 4
HEADS = 8
FUSIONS = 3  # rounds of cross attention


class _Block(nn.Module):
    """x + attention(LN(x), y), then x + MLP(LN(x)); tokens [N,H,W,C]."""

    def __init__(self, channels: int, shifted: bool, cross: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, HEADS, WINDOW, shifted, cross)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), y)
        return x + self.mlp(self.norm2(x))


class _Patches(nn.Module):
    """Patches of factor x factor px, each a token by one linear map: [N,C,H,W] -> [N,H/f,W/f,channels]."""

    def __init__(self, inputs: int, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(inputs * factor * factor, channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2] // self.factor, x.shape[-1] // self.factor
        x = unfold(x, self.factor, stride=self.factor)
        return self.linear(x.transpose(1, 2).unflatten(1, (height, width)))


class _SwinModule(nn.Module):
    """Patch map, a block of regular and one of shifted windows; queries from ``y`` where the module is a cross one."""

    def __init__(self, inputs: int, channels: int, factor: int = 1, cross: bool = False) -> None:
        super().__init__()
        self.patches = _Patches(inputs, channels, factor)
        self.regular = _Block(channels, shifted=False, cross=cross)
        self.shifted = _Block(channels, shifted=True, cross=cross)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = self.patches(x)
        y = None if y is None else self.patches(y)
        return self.shifted(self.regular(x, y), y).permute(0, 3, 1, 2)


class PanFormer(nn.Module):
    """PanFormer: window transformers bring PAN and MS to the MS grid, where each then queries the other.

    Shapes: lr [N,B,h,w], guide [N,1,4h,4w] -> [N,B,4h,4w]; values scaled to [0, 1], clamped to it outside of training.
    Works at ratio 4; MS sides that are no multiple of the window 4 are continued by replication and cut back.

    Source: Zhou, Liu, Wang, PanFormer: a Transformer Based Model for Pan-Sharpening, ICME 2022.
    """

    size_multiple = 16  # guide px; windows of 4 x 4 MS pixels

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 64) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid

        def crossing() -> nn.ModuleList:
            return nn.ModuleList(_SwinModule(channels, channels, cross=True) for _ in range(FUSIONS))

        self.ms_cross_pan = crossing()  # updates the MS stream
        self.pan_cross_ms = crossing()  # updates the PAN stream
        self.HR_tail = nn.Sequential(
            nn.Conv2d(2 * channels, 4 * channels, 3, padding=1),
            nn.PixelShuffle(2),
            nn.ReLU(),
            nn.Conv2d(channels, 4 * channels, 3, padding=1),
            nn.PixelShuffle(2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, bands, 3, padding=1),
        )
        self.pan_encoder = nn.Sequential(_SwinModule(1, channels, 2), _SwinModule(channels, channels, 2))
        self.ms_encoder = nn.Sequential(_SwinModule(bands, channels), _SwinModule(channels, channels))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        height, width = guide.shape[-2:]
        ms = self.ms_encoder(pad_to_multiple(lr, WINDOW))
        pan = self.pan_encoder(pad_to_multiple(guide, self.size_multiple))
        for to_ms, to_pan in zip(self.ms_cross_pan, self.pan_cross_ms, strict=True):
            pan, ms = to_pan(pan, ms), to_ms(ms, pan)
        fused = self.HR_tail(torch.cat([pan, ms], dim=1))[..., :height, :width]
        # the clamp has no gradient outside [0, 1]
        return fused if self.training else fused.clamp(0, 1)
