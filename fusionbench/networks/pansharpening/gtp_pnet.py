"""GTP-PNet (Zhang and Ma, ISPRS Journal 2021): the fusion network and the gradient transformation network."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from fusionbench.errors import ConfigError
from fusionbench.imaging import check_grid
from fusionbench.networks.blocks import enlarge, first_sample

RESIZES = ("legacy", "aligned")


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.trunc_normal_(layer.weight, std=1e-3, a=-2e-3, b=2e-3)
    nn.init.zeros_(cast(nn.Parameter, layer.bias))
    return layer


def _act(x: Tensor) -> Tensor:
    return leaky_relu(x, 0.2)


def sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical Sobel gradients of each band: [N,C,H,W] -> twice [N,C,H,W]; zero border."""
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], dtype=x.dtype, device=x.device)
    bands = x.shape[1]

    def gradient(kernel: Tensor) -> Tensor:
        return conv2d(x, kernel.expand(bands, 1, 3, 3), padding=1, groups=bands)

    return gradient(across), gradient(across.T)


class TNet(nn.Module):
    """TNet: the gradient of PAN from those of all bands in the same direction; one network for both directions.

    Shapes: gradient [N,B,H,W] -> [N,1,H,W], in (-2, 2), of images in [-1, 1].
    """

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.g1 = _conv(bands, 16)
        self.g2 = _conv(16, 16)
        self.g3 = _conv(16, 16)
        self.g4 = _conv(32, 16)
        self.g5 = _conv(16 + bands, 8)
        self.g6 = _conv(8, 1)

    def forward(self, gradient: Tensor) -> Tensor:
        g1 = _act(self.g1(gradient))
        g3 = _act(self.g3(_act(self.g2(g1))))
        g4 = _act(self.g4(torch.cat([g1, g3], dim=1)))
        return 2 * torch.tanh(self.g6(_act(self.g5(torch.cat([gradient, g4], dim=1)))))


class _SpatialAttention(nn.Module):
    """Features weighted per pixel by what their maximum and mean over the channels say."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _conv(2, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        summary = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.conv(summary))


class GTPPNet(nn.Module):
    """GTP-PNet: densely connected MS and PAN branches predict the residual to the bicubic MS.

    Shapes: lr [N,B,h,w], guide [N,1,4h,4w] -> [N,B,4h,4w]; values in [-1, 1], the residual is limited to (-1, 1).

    Args:
        resize: legacy, the published bicubic with MS sample 0 on PAN pixel 0 | aligned, on the data's grid.

    Raises:
        ConfigError: an unknown ``resize``.

    Source: Zhang, Ma, GTP-PNet: A Residual Learning Network Based on Gradient Transformation Prior for Pansharpening,
    ISPRS Journal of Photogrammetry and Remote Sensing 172, 2021.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", resize: str = "legacy") -> None:
        super().__init__()
        check_grid(grid, ratio)
        if resize not in RESIZES:
            raise ConfigError(f"gtp_pnet: resize={resize!r} is unknown; choose one of {', '.join(RESIZES)}")
        self.ratio, self.first = ratio, first_sample(ratio, "legacy" if resize == "legacy" else grid)
        self.u1, self.u2 = _conv(bands, 16), _conv(16, bands)
        self.m1, self.p1 = _conv(bands, 16), _conv(1, 16)
        self.m2, self.sa2, self.p2 = _conv(bands + 32, 16), _SpatialAttention(), _conv(17, 16)
        self.m3, self.sa3, self.p3 = _conv(bands + 48, 16), _SpatialAttention(), _conv(33, 16)
        self.m4, self.sa4, self.p4 = _conv(bands + 64, 16), _SpatialAttention(), _conv(49, 16)
        self.m5, self.sa5 = _conv(bands + 80, 16), _SpatialAttention()
        self.r1, self.r2 = _conv(16, 8), _conv(8, bands)

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        half = self.first / 3  # two doublings, 2 (2 k + half) + half, put sample 0 where one enlargement by 4 does
        x = _act(self.u1(enlarge(lr, 2, half)))
        x = _act(self.u2(enlarge(x, 2, half)))
        ms, pan = [x, _act(self.m1(x))], [guide, _act(self.p1(guide))]
        merges = (self.m2, self.m3, self.m4, self.m5)
        attentions = (self.sa2, self.sa3, self.sa4, self.sa5)
        for merge, attention, extend in zip(merges, attentions, (self.p2, self.p3, self.p4, None), strict=True):
            ms.append(attention(_act(merge(torch.cat([*ms, pan[-1]], dim=1)))))
            if extend is not None:
                pan.append(_act(extend(torch.cat(pan, dim=1))))
        return enlarge(lr, self.ratio, self.first) + torch.tanh(self.r2(_act(self.r1(ms[-1]))))
