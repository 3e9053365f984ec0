"""NonRegSRNet (Zheng et al., IEEE TGRS 2022): coupled unmixing of two images that do not lie on each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks import Blur, Response
from fusionbench.networks.hs_ms_fusion.coupled import bounded, encoder

ACTIVATIONS = ("relu", "none")


def _block(*widths: int) -> nn.Sequential:
    """3x3, batch norm and ReLU for each step between two widths."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        conv, norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        nn.init.kaiming_normal_(conv.weight)
        nn.init.normal_(norm.weight, 1.0, 0.02)
        layers += [conv, norm, nn.ReLU()]
    return nn.Sequential(*layers)


class DisplacementNet(nn.Module):
    """U-shaped, but of one scale throughout: [N,C,h,w] -> displacement [N,2,h,w] in px, columns first.

    Args:
        inputs: C.
        width: of the first block, 32 as published.
        activation: ``relu`` as in the public code, which gives no displacement below 0, or ``none``.
    """

    def __init__(self, inputs: int, width: int = 32, activation: str = "relu") -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"displacement_activation={activation}: one of {', '.join(ACTIVATIONS)}")
        w = width
        self.enc1, self.enc2, self.enc3 = _block(inputs, w, w), _block(w, 2 * w, 2 * w), _block(2 * w, 4 * w, 4 * w)
        self.bottom = _block(4 * w, 8 * w, 4 * w)
        self.dec3 = _block(8 * w, 4 * w, 4 * w, 2 * w)
        self.dec2 = _block(4 * w, 2 * w, 2 * w, w)
        last = list(_block(2 * w, w, 2))
        self.last = nn.Sequential(*(last if activation == "relu" else last[:-1]))

    def forward(self, x: Tensor) -> Tensor:
        first = self.enc1(x)
        second = self.enc2(first)
        third = self.enc3(second)
        x = self.dec3(torch.cat([self.bottom(third), third], dim=1))
        x = self.dec2(torch.cat([x, second], dim=1))
        return cast(Tensor, self.last(torch.cat([x, first], dim=1)))


def displaced(x: Tensor, displacement: Tensor) -> Tensor:
    """Sample [N,C,h,w] at (column + dx, row + dy), bilinear, zeros outside; displacement [N,2,h,w] = (dx, dy) in px."""
    sides = x.new_tensor([x.shape[-1], x.shape[-2]])
    unmoved = torch.eye(2, 3, dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    grid = affine_grid(unmoved, list(x.shape), align_corners=True)
    move = displacement.movedim(1, -1) * 2 / (sides - 1).clamp_min(1)
    return grid_sample(x, grid + move, mode="bilinear", padding_mode="zeros", align_corners=True)


class NonRegSRNet(nn.Module):
    """Abundances of the MS image through end-members learned on an HS image that is displaced against it.

    Shapes: lr [N,B,h,w], guide [N,b,H,W] with H = ratio h -> [N,B,H,W] in [0, 1], in the geometry of the guide.

    Args:
        bands: B.
        guide_bands: b.
        ratio: guide pixels per HS pixel.
        srf_support: first and last HS band of each guide band; None: all bands.
        abundances: number of abundance maps, K.
        widths: of both encoders' layers.
        displacement_width: of the displacement net's first block.
        displacement_activation: see ``DisplacementNet``.

    Source: Zheng, Gao, Hong, Zhang, Chanussot, NonRegSRNet: A Nonrigid Registration Hyperspectral Super-Resolution
    Network, IEEE TGRS 60, 2022.
    """

    tileable = False

    def __init__(
        self,
        bands: int,
        guide_bands: int,
        ratio: int,
        srf_support: Sequence[Sequence[int]] | None = None,
        abundances: int = 100,
        widths: Sequence[int] = (128, 256, 512),
        displacement_width: int = 32,
        displacement_activation: str = "relu",
    ) -> None:
        super().__init__()
        self.hs_enc = nn.Sequential(*encoder(bands, widths), *bounded(widths[-1], abundances))
        self.ms_enc = nn.Sequential(*encoder(guide_bands, widths), *bounded(widths[-1], abundances))
        self.dec = bounded(abundances, bands, bias=False)
        self.psf = Blur(ratio)
        support = [[0, bands - 1]] * guide_bands if srf_support is None else srf_support
        self.srf = Response(bands, support)
        self.unet = DisplacementNet(2 * abundances, displacement_width, displacement_activation)

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.dec(self.ms_enc(guide)))

    def parts(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        """Everything the losses compare.

        ``output``; abundances ``hs_abundances``, ``ms_abundances``, ``low_abundances`` (of MS, at the size of HS) and
        ``moved_abundances`` (of HS); ``displacement`` [N,2,h,w]; images ``hs``, ``moved_hs``, ``ms`` and ``low``.
        """
        hs, ms = self.hs_enc(lr), self.ms_enc(guide)
        output, low = self.dec(ms), self.psf(ms)
        displacement = self.unet(torch.cat([hs, low], dim=1))
        moved = displaced(hs, displacement)
        return {
            "output": output,
            "hs_abundances": hs,
            "ms_abundances": ms,
            "low_abundances": low,
            "moved_abundances": moved,
            "displacement": displacement,
            "hs": self.dec(hs),
            "moved_hs": self.dec(moved),
            "ms": self.srf(output).clamp(0, 1),
            "low": self.psf(output),
        }
