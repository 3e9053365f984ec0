"""How a scene becomes the two images that are fused: spectral response and point spread, learned or known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from fusionbench.errors import DataError
from fusionbench.imaging.borders import extend

TAIL = 1e-3


def response_support(srf: Tensor) -> list[list[int]]:
    """First and last HS band to which each guide band responds, both included.

    Args:
        srf: [b,B] or [1,b,B]; what lies above a thousandth of a guide band's peak is response (the published rule,
            above 0, suits tables that end, not curves with tails).

    Raises:
        DataError: a guide band without response.
    """
    spans = []
    for number, row in enumerate(srf.reshape(-1, srf.shape[-1])):
        bands = row.gt(TAIL * row.max().clamp_min(0)).nonzero().flatten()
        if len(bands) == 0:
            raise DataError(f"srf: band {number} of the guide responds to none of the {len(row)} bands of lr")
        spans.append([int(bands[0]), int(bands[-1])])
    return spans


class Response(nn.Module):
    """Learned spectral response: each guide band is a weighted mean over its own run of HS bands.

    Shapes: [N,B,H,W] -> [N,b,H,W]. The weights are divided by their sum, through which no gradient flows.

    Args:
        bands: B.
        support: first and last HS band of each guide band.
        initial: ``uniform``, or ``gaussian`` about the middle of the run.
        deviation: of ``gaussian``, in bands.
    """

    def __init__(
        self, bands: int, support: Sequence[Sequence[int]], initial: str = "uniform", deviation: float = 3.5
    ) -> None:
        super().__init__()
        self.bands, self.support = bands, [(int(first), int(last)) for first, last in support]
        self.weights = nn.ParameterList()
        for first, last in self.support:
            place = torch.arange(last - first + 1.0) - (last - first) / 2
            weights = torch.ones_like(place) if initial == "uniform" else (-0.5 * (place / deviation).square()).exp()
            self.weights.append(nn.Parameter(weights / weights.sum()))

    def matrix(self) -> Tensor:
        """[b,B]."""
        rows = [
            pad(weights / weights.sum().detach(), (first, self.bands - 1 - last))
            for weights, (first, last) in zip(self.weights, self.support, strict=True)
        ]
        return torch.stack(rows)

    def forward(self, x: Tensor) -> Tensor:
        return respond(x, self.matrix())

    @torch.no_grad()
    def project(self, high: float = 10.0, single: float | None = 5.0) -> None:
        """Clamp to [0, high] and divide by the sum; a run of one band is clamped to [0, single] (None: as others)."""
        for weights in cast(list[Tensor], list(self.weights)):
            if len(weights) == 1 and single is not None:
                weights.clamp_(0, single)
            else:
                weights.clamp_(0, high).div_(weights.sum().clamp_min(1e-12))


class KnownResponse(nn.Module):
    """Spectral response as the data state it, srf [b,B] or [1,b,B]: [N,B,H,W] -> [N,b,H,W]."""

    def __init__(self, srf: Tensor) -> None:
        super().__init__()
        self.register_buffer("srf", srf.reshape(-1, srf.shape[-1]).clone())

    def matrix(self) -> Tensor:
        """[b,B]."""
        return cast(Tensor, self.srf)

    def forward(self, x: Tensor) -> Tensor:
        return respond(x, self.matrix())


class Blur(nn.Module):
    """Point spread and sampling, one kernel for all bands: [N,B,H,W] -> [N,B,H/ratio,W/ratio].

    The kernel [k,k] lies symmetrically about the ratio x ratio block of each low-resolution pixel (k - ratio even) or,
    with ``corner``, about the block's first pixel (k odd). Beyond the border there are zeros for a learned kernel, as
    published, and mirrored pixels for a known one.

    Args:
        ratio: fine pixels per coarse pixel.
        size: k; None: ratio, one kernel per disjoint block.
        corner: see above.
        kernel: a known one instead of a learned one, which begins as 1/k^2.

    Raises:
        DataError: a known kernel that cannot lie so.
    """

    def __init__(self, ratio: int, size: int | None = None, corner: bool = False, kernel: Tensor | None = None) -> None:
        super().__init__()
        size = kernel.shape[-1] if kernel is not None else (ratio if size is None else size)
        if size < ratio or (size - (1 if corner else ratio)) % 2:
            raise DataError(f"psf: {size} x {size} px cannot lie symmetrically about {ratio} x {ratio} px")
        self.ratio, self.mirrored = ratio, kernel is not None
        self.before = (size - 1) // 2 if corner else (size - ratio) // 2  # px of the kernel before the block
        if kernel is None:
            self.kernel = nn.Parameter(torch.full((size, size), 1 / size**2))
        else:
            self.register_buffer("kernel", kernel.reshape(size, size).clone())

    def forward(self, x: Tensor) -> Tensor:
        # Sums over whole blocks: many times faster than a convolution of one channel.
        r, size = self.ratio, len(self.kernel)
        first = -(-self.before // r)  # whole blocks before and behind that the kernel reaches into
        last = -(-(size - self.before - r) // r)
        lead, tail = first * r - self.before, last * r - (size - self.before - r)
        kernel = pad(self.kernel, (lead, tail, lead, tail))
        if first or last:
            x = self._extended(x, first * r, last * r)
        blocks = x.unflatten(-1, (-1, r)).unflatten(-3, (-1, r))
        rows, columns = blocks.shape[2] - first - last, blocks.shape[4] - first - last
        low = x.new_zeros(())
        for i in range(first + last + 1):
            for j in range(first + last + 1):
                part = blocks[:, :, i : i + rows, :, j : j + columns]
                low = low + torch.einsum("nbhiwj,ij->nbhw", part, kernel[i * r : (i + 1) * r, j * r : (j + 1) * r])
        return low

    def _extended(self, x: Tensor, before: int, after: int) -> Tensor:
        if not self.mirrored:
            return pad(x, (before, after, before, after))
        return extend(extend(x, before, after, -1, "symmetric"), before, after, -2, "symmetric")


def respond(x: Tensor, srf: Tensor) -> Tensor:
    """Images [N,B,H,W] through a response [b,B] or [1,b,B]: [N,b,H,W]."""
    return torch.einsum("kb,nbhw->nkhw", srf.reshape(-1, srf.shape[-1]), x)
