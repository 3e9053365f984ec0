"""MIAE (Liu et al., IEEE TGRS 2022): an unrolled non-negative factorisation, fitted to patches of the scene."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad, unfold

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks import Blur, KnownResponse, respond
from fusionbench.networks.fitting import SceneFit, Stage, Update, given, linear_fall, set_rate

PATCH, STRIDE, WHOLE = 5, 3, 512 * 256  # HS pixels; guide pixels for which the batch sizes were published
BATCHES = {4: 100, 8: 25, 16: 5}  # patches per WHOLE pixels at a ratio


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.trunc_normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return nn.Sequential(layer, nn.LeakyReLU(0.2))


class MIAE(nn.Module):
    """Model-inspired autoencoder: abundances in a few unrolled steps, spectra as a non-negative mixture.

    Shapes: lr [N,B,h,w], guide [N,b,H,W] with H = ratio h -> [N,B,H,W] in [0, 1].

    Args:
        bands: B.
        guide_bands: b.
        members: number of end-members and width of all layers: 80 for Pavia and KSC, 30 for Washington DC and Houston.
        stages: unrolled steps, the first of which has no layers of its own.

    Source: Liu, Wu, Xiao, Wu, Model Inspired Autoencoder for Unsupervised Hyperspectral Image Super-Resolution, IEEE
    TGRS 60, 2022.
    """

    tileable = False

    def __init__(self, bands: int, guide_bands: int, members: int = 80, stages: int = 3) -> None:
        super().__init__()
        e = members
        self.members = nn.Parameter(torch.full((bands, e, 1, 1), 1 / e))
        self.stages = nn.ModuleList(
            nn.ModuleDict({"before": _layer(e, e), "behind": _layer(3 * e, e)}) for _ in range(stages - 1)
        )
        self.hs_net = nn.Sequential(*_layer(bands, e), *_layer(e, e))
        self.ms_net = _layer(guide_bands, e)
        self.first = _layer(2 * e, e)

    def forward(self, lr: Tensor, guide: Tensor, srf: Tensor | None = None, psf: Tensor | None = None) -> Tensor:
        return self.fuse(enlarged(lr, guide), guide)

    def fuse(self, hs: Tensor, ms: Tensor) -> Tensor:
        """As forward, with HS already enlarged to the size of MS."""
        y, z = self.hs_net(hs), self.ms_net(ms)
        abundances = self.first(torch.cat([y, z], dim=1))
        for stage in cast(list[nn.ModuleDict], list(self.stages)):
            abundances = stage["behind"](torch.cat([stage["before"](abundances), y, z], dim=1))
        return conv2d(abundances.clamp(0, 1), self.members).clamp(0, 1)


def enlarged(lr: Tensor, guide: Tensor) -> Tensor:
    """Bilinear between pixel centres."""
    return interpolate(lr, guide.shape[-2:], mode="bilinear", align_corners=False)


class MIAEDegradation(nn.Module):
    """Point spread of 2 ratio - 1 px about the first pixel of each block, and a response over all bands, both learned.

    Args:
        bands: B.
        guide_bands: b.
        ratio: guide pixels per HS pixel.
    """

    def __init__(self, bands: int, guide_bands: int, ratio: int) -> None:
        super().__init__()
        self.psf = Blur(ratio, 2 * ratio - 1, corner=True)
        self.srf = nn.Parameter(torch.full((guide_bands, bands), 1 / bands))

    def disagreement(self, lr: Tensor, guide: Tensor) -> Tensor:
        """Summed difference between HS seen by the guide's bands and the guide at the size of HS."""
        seen = respond(lr, self.srf / self.srf.sum(dim=1, keepdim=True))
        return (seen.clamp(0, 1) - self.psf(guide).clamp(0, 1)).abs().sum()

    @torch.no_grad()
    def project(self) -> None:
        """Both non-negative, with a sum of one."""
        self.psf.kernel.clamp_(0, 1).div_(self.psf.kernel.sum())
        self.srf.clamp_(0, 10).div_(self.srf.sum(dim=1, keepdim=True))


class MIAEFit(SceneFit):
    """Point spread and response first, from both images whole; then the network on patches.

    Args:
        steps: of the two stages.
        rates: of their Adams.
        hold: steps of the second stage at the full rate; it then falls to 0.
        decay: L2 on everything the second stage moves.
        srf, psf: both ``learned``, or both ``known``: as the data state them.

    Raises:
        ConfigError: one learned and one known.

    Source: Liu et al., IEEE TGRS 60, 2022.
    """

    def __init__(
        self,
        steps: Sequence[int] = (5000, 10_000),
        rates: Sequence[float] = (5e-5, 5e-3),
        hold: int = 1000,
        decay: float = 1e-3,
        srf: str = "learned",
        psf: str = "learned",
    ) -> None:
        if srf != psf:
            raise ConfigError(f"model.module.fit: srf={srf}, psf={psf}: MIAE learns both or is told both")
        self.steps, self.rates, self.hold, self.decay, self.known = steps, rates, hold, decay, srf == "known"

    def start(self, network: nn.Module, inputs: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Make the degradation, and the patches."""
        super().start(network, inputs, facts)
        self.net = cast(MIAE, network)
        lr, guide = inputs["lr"], inputs["guide"]
        self.ratio = guide.shape[-1] // lr.shape[-1]
        self.degradation = MIAEDegradation(lr.shape[1], guide.shape[1], self.ratio).to(lr.device)
        if self.known:
            self.blur: nn.Module = Blur(self.ratio, kernel=given(inputs, "psf"))
            self.response: nn.Module = KnownResponse(given(inputs, "srf"))
        r, size = self.ratio, min(PATCH, *lr.shape[-2:])
        self.hs = patches(enlarged(lr, guide), size * r, STRIDE * r)
        self.ms = patches(guide, size * r, STRIDE * r)
        self.low = patches(lr, size, STRIDE)
        self.batch = batch_size(guide.shape[-2], guide.shape[-1], r, len(self.low))
        self.order: list[Tensor] = []

    def stages(self) -> Sequence[Stage]:
        """The degradation, where it is not known; the fusion."""
        self.blind = torch.optim.Adam(self.degradation.parameters(), lr=self.rates[0])
        self.adam = torch.optim.Adam(self.net.parameters(), lr=self.rates[1], weight_decay=self.decay)
        return [
            Stage("degradation", 0 if self.known else self.steps[0], self._degradation_step, end=self._freeze),
            Stage("fusion", self.steps[1], self._fusion_step),
        ]

    def _degradation_step(self, step: int) -> Iterator[Update]:
        loss = self.degradation.disagreement(self.inputs["lr"], self.inputs["guide"])
        yield Update(self.blind, loss, {"agreement": loss})
        self.degradation.project()

    @torch.no_grad()
    def _freeze(self) -> None:
        if not self.known:
            self.blur, self.response = self.degradation.psf, KnownResponse(self.degradation.srf)
            self.degradation.requires_grad_(False)

    def _fusion_step(self, step: int) -> Iterator[Update]:
        set_rate(self.adam, self.rates[1] * linear_fall(step, self.hold, self.steps[1] - self.hold))
        if not self.order:  # every patch once, in batches of one size
            drawn = torch.randperm(len(self.low), device=self.low.device).split(self.batch)
            self.order = [batch for batch in drawn if len(batch) == self.batch]
        chosen = self.order.pop()
        fused = self.net.fuse(self.hs[chosen], self.ms[chosen])
        margin = 1 if self.low.shape[-1] > 2 else 0  # HS pixels that see beyond the patch
        low = inner(self.blur(fused) - self.low[chosen], margin)
        fine = inner(self.response(fused) - self.ms[chosen], margin * self.ratio)
        rows, columns = self.inputs["lr"].shape[-2:]
        terms = {
            "spectral": rows * columns * low.abs().mean(dim=(2, 3)).sum(),
            "spatial": rows * columns * self.ratio**2 * fine.abs().mean(dim=(2, 3)).sum(),
        }
        yield Update(self.adam, terms["spectral"] + terms["spatial"], terms)
        self.net.members.data.clamp_(0, 1)

    def estimates(self) -> dict[str, Tensor]:
        """Response [b,B] and point spread [k,k], symmetrical about a block."""
        kernel = cast(Tensor, self.blur.kernel)
        if not self.known:
            kernel = pad(kernel, (0, self.ratio - 1, 0, self.ratio - 1))  # it lies about the block's first pixel
        return {"srf": cast(KnownResponse, self.response).matrix(), "psf": kernel}


def patches(image: Tensor, size: int, stride: int) -> Tensor:
    """All patches [P,C,size,size] of an image [1,C,H,W], from the top left, none beyond the border."""
    return unfold(image, size, stride=stride)[0].T.reshape(-1, image.shape[1], size, size)


def batch_size(height: int, width: int, ratio: int, count: int) -> int:
    """Patches in a step: as published for whole multiples of 512 x 256 px, in proportion for smaller scenes."""
    share = BATCHES.get(ratio, 100)
    whole = (height // 512) * (width // 256) * share
    return min(whole or max(1, math.floor(share * height * width / WHOLE)), count)


def inner(x: Tensor, margin: int) -> Tensor:
    """Without ``margin`` px at each side."""
    return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin]
