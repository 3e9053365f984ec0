"""CUCaNet (Yao et al., ECCV 2020): two coupled unmixing autoencoders with cross-attention, and their fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from fusionbench.networks.blocks import Blur, KnownResponse, Response
from fusionbench.networks.fitting import SceneFit, Stage, Update, given, linear_fall, set_rate
from fusionbench.networks.hs_ms_fusion.coupled import (
    bounded,
    encoder,
    from_uniform,
    off_one,
    to_unit,
    total_difference,
)


class CUCaNet(nn.Module):
    """Abundances of the MS image, informed by a spectral attention of the HS image, through HS end-members.

    Shapes: lr [N,B,h,w], guide [N,b,H,W] with H = ratio h -> output [N,B,H,W] in [0, 1] and what the loss compares
    (``parts``). The spectral attention has a weight for each pixel of lr: one network for each size.

    Args:
        bands: B.
        guide_bands: b.
        ratio: guide pixels per HS pixel.
        lr_size: rows and columns of lr.
        srf_support: first and last HS band of each guide band; None: all bands.
        abundances: number of abundance maps, K.
        width: of the first layers; features have four times as many channels.

    Source: Yao et al., Cross-Attention in Coupled Unmixing Nets for Unsupervised Hyperspectral Super-Resolution, ECCV
    2020.
    """

    tileable = False

    def __init__(
        self,
        bands: int,
        guide_bands: int,
        ratio: int,
        lr_size: Sequence[int] = (16, 16),
        srf_support: Sequence[Sequence[int]] | None = None,
        abundances: int = 128,
        width: int = 128,
    ) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        features = widths[-1]
        self.hs_enc1 = encoder(bands, widths)
        self.hs_enc2 = bounded(2 * features, abundances)
        self.hs_dec = bounded(abundances, bands, bias=False)
        self.ms_enc1 = encoder(guide_bands, widths, (5, 3, 1))
        self.ms_enc2 = bounded(2 * features, abundances)
        self.ms_dec = bounded(abundances, guide_bands, bias=False)
        self.psf, self.psf2 = Blur(ratio), Blur(ratio)
        support = [[0, bands - 1]] * guide_bands if srf_support is None else srf_support
        self.srf: nn.Module = Response(bands, support)
        self.spatial_attn = nn.Conv2d(features, 1, 3, padding=1)
        self.spectral_attn = nn.Conv2d(features, features, (lr_size[0], lr_size[1]), groups=features)
        nn.init.constant_(self.spatial_attn.weight, 1 / 9)
        nn.init.ones_(self.spectral_attn.weight)
        for layer in (self.spatial_attn, self.spectral_attn):
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor | None = None) -> Tensor:
        hs, ms = self.hs_enc1(lr), self.ms_enc1(guide)
        return cast(Tensor, self.hs_dec(self._ms_abundances(hs, ms)))

    def _ms_abundances(self, hs: Tensor, ms: Tensor) -> Tensor:
        layer = self.spectral_attn  # its window is the whole image: a sum instead of a convolution
        found = (hs * layer.weight[:, 0]).sum(dim=(2, 3), keepdim=True) + cast(Tensor, layer.bias)[:, None, None]
        attention = found.softmax(dim=1)
        return cast(Tensor, self.ms_enc2(torch.cat([ms, ms * attention], dim=1)))

    def respond(self, x: Tensor) -> Tensor:
        """Through the spectral response, clamped to [0, 1]."""
        return cast(Tensor, self.srf(x).clamp(0, 1))

    def parts(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        """``output``, abundances (``hs_abundances``, ``ms_abundances``) and autoencoded images (``hs``, ``ms``)."""
        hs, ms = self.hs_enc1(lr), self.ms_enc1(guide)
        attention = self.spatial_attn(ms).flatten(1).softmax(dim=1).view(-1, 1, *ms.shape[-2:])
        hs_abundances = self.hs_enc2(torch.cat([hs, hs * self.psf2(attention)], dim=1))
        ms_abundances = self._ms_abundances(hs, ms)
        return {
            "output": self.hs_dec(ms_abundances),
            "hs_abundances": hs_abundances,
            "ms_abundances": ms_abundances,
            "hs": self.hs_dec(hs_abundances),
            "ms": self.ms_dec(ms_abundances),
        }


class CUCaNetFit(SceneFit):
    """All parts together, one step per pass over both images, summed losses.

    Args:
        steps: of Adam.
        hold: steps at the full rate; it then falls to 0.
        rate: of HS encoder and both decoders; the MS encoder has half, blurs, response and attentions a fifth of it.
        srf: ``learned`` from the bands of its support | ``known``: as the data state it.

    Source: Yao et al., ECCV 2020.
    """

    def __init__(self, steps: int = 10_000, hold: int = 2000, rate: float = 5e-3, srf: str = "learned") -> None:
        self.steps, self.hold, self.rate, self.srf = steps, hold, rate, srf

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take the response from the data where it is known."""
        super().start(network, inputs, facts)
        self.net = cast(CUCaNet, network)
        if self.srf == "known":
            self.net.srf = KnownResponse(given(inputs, "srf"))

    def stages(self) -> Sequence[Stage]:
        """One."""
        net = self.net
        shares: list[tuple[float, tuple[nn.Module, ...]]] = [
            (1.0, (net.hs_enc1, net.hs_enc2, net.hs_dec, net.ms_dec)),
            (0.5, (net.ms_enc1, net.ms_enc2)),
            (0.2, (net.psf, net.psf2, net.spatial_attn, net.spectral_attn, net.srf)),
        ]
        groups = [
            {"params": [p for part in parts for p in part.parameters()], "multiplier": share} for share, parts in shares
        ]
        self.optimizer = torch.optim.Adam(groups, lr=self.rate)
        return [Stage("fit", self.steps, self._step)]

    def _step(self, step: int) -> Iterator[Update]:
        set_rate(self.optimizer, self.rate * linear_fall(step, self.hold, self.steps - self.hold + 1))
        terms = self.terms()
        yield Update(self.optimizer, torch.stack(list(terms.values())).sum(), terms)
        to_unit(self.net.hs_dec, self.net.ms_dec)
        if isinstance(self.net.srf, Response):
            self.net.srf.project()

    def terms(self) -> dict[str, Tensor]:
        """What is minimised, weighted."""
        net, lr, guide = self.net, self.inputs["lr"], self.inputs["guide"]
        found = net.parts(lr, guide)
        output = found["output"]
        abundances = (found["hs_abundances"], found["ms_abundances"])
        return {
            "autoencoding": 10 * (total_difference(lr, found["hs"]) + total_difference(guide, found["ms"])),
            "spectral": 10 * total_difference(lr, net.psf(output)),
            "spatial": 10 * total_difference(guide, net.respond(output)),
            "coupling": 10_000 * total_difference(net.respond(lr), net.psf(guide)),
            "sum_to_one": 0.01 * (off_one(abundances[0]) + off_one(abundances[1])),
            "sparsity": 0.01 * (from_uniform(abundances[0]) + from_uniform(abundances[1])),
        }

    def estimates(self) -> dict[str, Tensor]:
        """Response [b,B] and point spread [ratio,ratio]."""
        return {"srf": cast(Response, self.net.srf).matrix(), "psf": self.net.psf.kernel}
