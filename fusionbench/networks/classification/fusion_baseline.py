"""A plain network that fuses any number of modalities early, in the middle or late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fusionbench.errors import ConfigError
from fusionbench.networks.classification.mdl_rs import chosen

FUSIONS = ("early", "middle", "late")
HEADS = ("classes", "mask", "regression")


class FusionBaseline(nn.Module):
    """Convolutions per modality, fused at the input, at the features or at the decision.

    Shapes: each modality [N,B,H,W] -> with the head ``classes`` logits [N,K] of a window, else a map [N,K,H,W] on the
    finest grid among the modalities: logits (``mask``) or values (``regression``). Coarser ones are enlarged
    bilinearly.

    Args:
        channels: bands of every modality.
        outputs: K: classes, classes of a mask (1: logits of one class), or values.
        head: ``classes``, ``mask`` or ``regression``.
        fusion: ``early``: stacked inputs, one encoder; ``middle``: an encoder each, joint layer on their features;
            ``late``: encoder, layer and head each, mean of what they say.
        modalities: which of them and in which order; None: all of ``channels``.
        width: channels of all layers.
        dilations: of the 3 x 3 convolutions of an encoder, one entry each.

    Raises:
        ConfigError: an unknown choice.

    Source: the three levels of fusion of Li et al., Deep learning in multimodal remote sensing data fusion: A
    comprehensive review, JAG 112, 2022, section 5.3, in their plainest form.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        outputs: int,
        head: str = "classes",
        fusion: str = "middle",
        modalities: Sequence[str] | None = None,
        width: int = 64,
        dilations: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.modalities = chosen(channels, modalities)
        if head not in HEADS or fusion not in FUSIONS:
            raise ConfigError(
                f"fusion_baseline: head={head}, fusion={fusion}; head {', '.join(HEADS)}, fusion {', '.join(FUSIONS)}"
            )
        self.head, self.fusion = head, fusion
        bands = {name: int(channels[name]) for name in self.modalities}
        streams = {"joined": sum(bands.values())} if fusion == "early" else bands
        self.encoders = nn.ModuleDict({name: _encoder(b, width, dilations) for name, b in streams.items()})
        late = fusion == "late"
        heads = {name: width for name in streams} if late else {"joined": width * len(streams)}
        self.heads = nn.ModuleDict({name: _head(inputs, width, outputs) for name, inputs in heads.items()})

    def forward(self, **modalities: Tensor) -> Tensor:
        images = {name: modalities[name] for name in self.modalities}
        size = max((tuple(image.shape[-2:]) for image in images.values()), key=lambda sides: sides[0] * sides[1])
        images = {
            name: image if tuple(image.shape[-2:]) == size else _enlarged(image, size) for name, image in images.items()
        }
        if self.fusion == "early":
            images = {"joined": torch.cat(list(images.values()), dim=1)}
        features = {name: self.encoders[name](image) for name, image in images.items()}
        if self.fusion == "middle":
            features = {"joined": torch.cat(list(features.values()), dim=1)}
        said = torch.stack([self.heads[name](x) for name, x in features.items()]).mean(0)
        return said.mean(dim=(-2, -1)) if self.head == "classes" else said


def _encoder(bands: int, width: int, dilations: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number, dilation in enumerate(dilations):
        inputs = width if number else bands
        conv = nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


def _head(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, outputs, 1))


def _enlarged(image: Tensor, size: tuple[int, ...]) -> Tensor:
    return interpolate(image, size=size, mode="bilinear", align_corners=False)
