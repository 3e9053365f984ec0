"""What SDPNet's stages compare: translations between PAN and MS, reconstructions, selected deep features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from fusionbench.imaging import imresize
from fusionbench.networks.pansharpening.sdpnet import EncoderDecoder

WIDTH, SKIPPED, TAKEN = 128, 10, 20  # channels of features; the ten that differ most are left out, twenty count


def reduced(x: Tensor, ratio: int) -> Tensor:
    """Bilinear between pixel centres, no antialiasing: [N,C,H,W] -> [N,C,H/ratio,W/ratio]."""
    return imresize(x, (x.shape[-2] // ratio, x.shape[-1] // ratio), method="bilinear", antialias=False)


class PanToMS(nn.Module):
    """Learning of P2MS: guide [N,1,H,W] -> output [N,B,H,W]."""

    def forward(self, p2ms: nn.Module, guide: Tensor) -> dict[str, Tensor]:
        return {"output": p2ms(guide)}


class MSToPan(nn.Module):
    """Learning of MS2P: target [N,B,H,W] -> output [N,1,H,W]."""

    def forward(self, ms2p: nn.Module, target: Tensor) -> dict[str, Tensor]:
        return {"output": ms2p(target)}


class SpatialCoding(nn.Module):
    """Learning of the spatial auto-encoder, on PAN and on PAN made of MS in turn."""

    def forward(
        self, spat_ed: nn.Module, ms2p: nn.Module, guide: Tensor, target: Tensor, step: int
    ) -> dict[str, Tensor]:
        shown = guide if step % 2 == 0 else ms2p(target)
        return {"shown": shown, "output": spat_ed(shown)}


class SpectralCoding(nn.Module):
    """Learning of the spectral auto-encoder, a scale down, on MS made of PAN and on MS in turn."""

    def __init__(self, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(
        self, spec_ed: nn.Module, p2ms: nn.Module, guide: Tensor, target: Tensor, step: int
    ) -> dict[str, Tensor]:
        shown = p2ms(reduced(guide, self.ratio)) if step % 2 == 0 else reduced(target, self.ratio)
        return {"shown": shown, "output": spec_ed(shown)}


class SelectedChannels(nn.Module):
    """Which feature channels the fusion network's loss compares: twenty of the spatial, twenty of the spectral code."""

    spatial: Tensor
    spectral: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("spatial", "spectral"):
            self.register_buffer(name, torch.arange(SKIPPED, SKIPPED + TAKEN))


class ChannelRanking(nn.Module):
    """Ranks the channels by how differently they respond to PAN and MS; ranks 10 to 29 are selected.

    Args:
        ratio: PAN pixels per MS pixel.
        images: how many are looked at.
    """

    def __init__(self, ratio: int, images: int = 100) -> None:
        super().__init__()
        self.ratio, self.images = ratio, images

    def forward(
        self,
        spat_ed: EncoderDecoder,
        spec_ed: EncoderDecoder,
        p2ms: nn.Module,
        ms2p: nn.Module,
        channels: SelectedChannels,
        batches: Iterator[Mapping[str, Tensor]],
    ) -> None:
        pairs = ((i, batch) for batch in batches for i in range(batch["lr"].shape[0]))
        spatial, spectral = [], []
        for i, batch in islice(pairs, self.images):
            ms, pan = batch["lr"][i : i + 1], batch["guide"][i : i + 1]
            enlarged = imresize(ms, (pan.shape[-2], pan.shape[-1]), method="bilinear", antialias=False)
            spatial.append(_responses(spat_ed, pan, ms2p(enlarged)))
            spectral.append(_responses(spec_ed, ms, p2ms(reduced(pan, self.ratio))))
        for chosen, scores in ((channels.spatial, spatial), (channels.spectral, spectral)):
            order = torch.stack(scores).mean(dim=0).argsort(descending=True, stable=True)
            chosen.copy_(order[SKIPPED : SKIPPED + TAKEN])


def _responses(coder: EncoderDecoder, one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of each feature channel, [128]."""
    return (coder.encode(one) - coder.encode(other)).abs().mean(dim=(0, 2, 3))


class DeepFeatures(nn.Module):
    """Fusion stage: selected spatial features of the result, as PAN, and of PAN; spectral ones of result and target."""

    def forward(
        self,
        spat_ed: EncoderDecoder,
        spec_ed: EncoderDecoder,
        ms2p: nn.Module,
        channels: SelectedChannels,
        output: Tensor,
        guide: Tensor,
        target: Tensor,
    ) -> dict[str, Tensor]:
        return {
            "spatial": spat_ed.encode(ms2p(output))[:, channels.spatial],
            "guide_spatial": spat_ed.encode(guide)[:, channels.spatial],
            "spectral": spec_ed.encode(output)[:, channels.spectral],
            "target_spectral": spec_ed.encode(target)[:, channels.spectral],
        }
