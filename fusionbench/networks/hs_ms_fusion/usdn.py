"""uSDN (Qu et al., CVPR 2018): two pixel-wise autoencoders that share one spectral decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, softplus


class _Stack(nn.Module):
    """Linear layers without activation, each on everything before it: [pixels, inputs] -> [pixels, outputs]."""

    def __init__(self, widths: Sequence[int], growth: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, growth) for width in widths[:-1])
        self.last = nn.Linear(widths[-1], outputs)
        for layer in (*self.layers, self.last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, first: Tensor, stack: Tensor | None = None) -> Tensor:
        """``first`` goes into the first layer, whose output joins ``stack`` (None: ``first``)."""
        stack = first if stack is None else stack
        new = first
        for layer in self.layers:
            new = layer(new)
            stack = torch.cat([stack, new], dim=1)
            new = stack
        return cast(Tensor, self.last(new))


class _Encoder(nn.Module):
    """Abundances by stick-breaking, non-negative with a sum below 1: [pixels, .] -> [pixels, basis]."""

    def __init__(self, uniform: _Stack, beta: _Stack) -> None:
        super().__init__()
        self.uniform, self.beta = uniform, beta

    def forward(self, colour: Tensor, spectrum: Tensor | None = None) -> Tensor:
        portions = self.uniform(colour, spectrum)
        shape = softplus(self.beta(colour)).clamp_min(1e-6)
        taken = (logsigmoid(portions) / shape).exp()  # u^(1/beta)
        left = (1 - taken).cumprod(dim=1)
        return taken * torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], dim=1)


class USDN(nn.Module):
    """Unsupervised sparse Dirichlet-Net: abundances of MS pixels through a decoder learned on the HS pixels.

    Shapes: lr [N,B,h,w], guide [N,b,H,W], srf [b,B] or [N,b,B] -> [N,B,H,W]; values scaled to [0, 1], not clipped. Band
    means of the two images are taken off before encoding; images are treated one by one.

    Args:
        bands: B.
        guide_bands: b.
        basis: number of basis spectra.
        growth: outputs of each hidden layer.

    Source: Qu, Qi, Kwan, Unsupervised Sparse Dirichlet-Net for Hyperspectral Image Super-Resolution, CVPR 2018.
    """

    tileable = False

    def __init__(self, bands: int, guide_bands: int, basis: int = 12, growth: int = 3) -> None:
        super().__init__()
        b, n, g = guide_bands, basis, growth
        spectral = _Stack([b, *(bands + k * g for k in range(1, 5))], g, n)
        self.hs_encoder = _Encoder(spectral, self._beta(b, g))
        self.ms_encoder = _Encoder(_Stack([b + k * g for k in range(5)], g, n), self._beta(b, g))
        self.mixing = nn.Parameter(torch.empty(n, n))
        self.spectra = nn.Parameter(torch.empty(bands, n))
        for weight in (self.mixing, self.spectra):
            nn.init.trunc_normal_(weight, std=0.1, a=-0.2, b=0.2)

    @staticmethod
    def _beta(inputs: int, growth: int) -> _Stack:
        return _Stack([inputs + k * growth for k in range(3)], growth, 1)

    def hs_abundances(self, spectra: Tensor, srf: Tensor) -> Tensor:
        """Of HS pixels without their mean, [pixels,B]; srf [b,B]."""
        return cast(Tensor, self.hs_encoder(linear(spectra, srf), spectra))

    def ms_abundances(self, colours: Tensor) -> Tensor:
        """Of MS pixels without their mean, [pixels,b]."""
        return cast(Tensor, self.ms_encoder(colours))

    def basis(self) -> Tensor:
        """The decoder as one matrix [basis,B]; a pixel is abundances @ basis + mean spectrum."""
        return (self.spectra @ self.mixing).T

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor) -> Tensor:
        images = []
        for hs, ms in zip(lr, guide, strict=True):
            colours = ms.flatten(1).T
            pixels = self.ms_abundances(colours - colours.mean(0)) @ self.basis() + hs.mean(dim=(1, 2))
            images.append(pixels.T.reshape(-1, *ms.shape[-2:]))
        return torch.stack(images)
