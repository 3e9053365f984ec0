"""MDL-RS (Hong et al., IEEE TGRS 2021): pixel and patch networks that fuse any number of modalities in five ways."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from fusionbench.errors import ConfigError
from fusionbench.networks.blocks import init_variance_scaling

NETS = ("fc", "cnn")
FUSIONS = ("early", "middle", "late", "en_de", "cross", "alone")
WIDTHS = (16, 32, 64, 128)  # of the four layers of extraction
JOINT = (128, 64)  # of the two layers of fusion
KERNELS = {"fc": (0, 0, 0, 0), "cnn": (3, 1, 3, 1)}  # 0: dense
DECODED = 7  # side of the patch that the decoders of the patch network rebuild


def centre_pixel(x: Tensor) -> Tensor:
    """The pixel in the middle of windows: [N,B,p,p] -> [N,B]."""
    return x[..., x.shape[-2] // 2, x.shape[-1] // 2]


class _Layer(nn.Module):
    """Convolution (0: dense, of single pixels), batch norm, pooling (TensorFlow's SAME: at the end only), ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, pool: str = "") -> None:
        super().__init__()
        self.conv: nn.Module = nn.Linear(inputs, outputs)
        if kernel:
            self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm = _norm(outputs, kernel)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.activated(self.conv(x), self.norm)

    def activated(self, x: Tensor, norm: nn.Module) -> Tensor:
        """What follows the convolution, by another batch norm where layers share weights but not statistics."""
        x = norm(x)
        if self.pool == "max":
            x = max_pool2d(x, 2, ceil_mode=True)
        elif self.pool == "mean":
            x = avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        return relu(x)


def _norm(channels: int, kernel: int) -> nn.Module:
    return (nn.BatchNorm2d if kernel else nn.BatchNorm1d)(channels, eps=1e-3, momentum=0.1)


class _Decoder(nn.Sequential):
    """From the first joint layer back to one modality, a sigmoid after every layer."""

    def __init__(self, net: str, bands: int) -> None:
        layers: dict[str, list[nn.Module]] = {
            "fc": [nn.Linear(128, 64), nn.Linear(64, 32), nn.Linear(32, 16), nn.Linear(16, bands)],
            "cnn": [
                nn.ConvTranspose2d(128, 64, 1),
                nn.ConvTranspose2d(64, 32, 3, padding=1),
                nn.ConvTranspose2d(32, 16, 3, stride=2),
                nn.ConvTranspose2d(16, bands, 3),
            ],
        }
        super().__init__(*(layer for one in layers[net] for layer in (one, nn.Sigmoid())))


class MDLRS(nn.Module):
    """MDL-RS: extraction per modality and fusion, early, middle, late, with decoders, or crossed.

    Shapes: each modality [N,B,p,p], values in [0, 1] -> ``output`` logits [N,C]; while training ``en_de`` and ``cross``
    add ``residual_<modality>``: what its decoder leaves [N,B,p,p] (``fc``: [N,B]), or by how far the logits of that
    modality alone miss the joint ones [N,C]. The pixel network ``fc`` takes the centre of a window. One modality is the
    published control without fusion, ``alone``. Each modality has layers of its own, so their number is free.

    Args:
        channels: bands of every modality.
        classes: C.
        net: ``fc`` (a pixel) or ``cnn`` (a window; published with 7 x 7).
        fusion: ``early``, ``middle``, ``late``, ``en_de``, ``cross``, or ``alone``: one modality, no joint layers.
        modalities: which of them and in which order; None: all of ``channels``.

    Raises:
        ConfigError: unknown settings, or modalities that the fusion cannot take.

    Source: Hong et al., More Diverse Means Better: Multimodal Deep Learning Meets Remote-Sensing Imagery
    Classification, IEEE TGRS 59(5), 2021, sections II and III.
    """

    has_missing_mode = True  # a modality set to zero, batch norms on the statistics of the whole test set

    def __init__(
        self,
        channels: Mapping[str, int],
        classes: int,
        net: str = "cnn",
        fusion: str = "cross",
        modalities: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        joint = 0 if net == "fc" else 1
        self.net, self.fusion, self.modalities = net, fusion, chosen(channels, modalities)
        if net not in NETS or fusion not in FUSIONS:
            raise ConfigError(
                f"mdl_rs: net={net}, fusion={fusion}; net {' or '.join(NETS)}, fusion {', '.join(FUSIONS)}"
            )
        count = len(self.modalities)
        if (fusion == "alone" and count != 1) or (fusion == "cross" and count < 2):
            raise ConfigError(
                f"mdl_rs: fusion={fusion} with modalities {', '.join(self.modalities)}; alone takes one, cross "
                "at least two"
            )
        self.bands = {name: int(channels[name]) for name in self.modalities}
        streams = {"joined": sum(self.bands.values())} if fusion == "early" else self.bands
        self.extract = nn.ModuleDict({name: _extraction(net, bands) for name, bands in streams.items()})
        if fusion == "cross":
            self.crossed = nn.ModuleDict(
                {f"{a}_{b}": _norm(WIDTHS[-1], joint) for a in self.modalities for b in self.modalities if a != b}
            )
            self.alone = nn.ModuleDict(
                {name: nn.ModuleList([_norm(n, joint) for n in JOINT]) for name in self.modalities}
            )
        if fusion == "late":
            self.joint = nn.ModuleDict({name: _fusion(net, WIDTHS[-1]) for name in self.modalities})
        elif fusion != "alone":
            self.joint = nn.ModuleDict({"joined": _fusion(net, WIDTHS[-1] * len(streams))})
        width = WIDTHS[-1] if fusion == "alone" else JOINT[-1] * (count if fusion == "late" else 1)
        self.classify: nn.Module = nn.Conv2d(width, classes, 1) if joint else nn.Linear(width, classes)
        if fusion == "en_de":
            self.decode = nn.ModuleDict({name: _Decoder(net, bands) for name, bands in self.bands.items()})
        init_variance_scaling(self)
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d | nn.Linear):
                inputs = layer.in_features if isinstance(layer, nn.Linear) else layer.weight[:, 0].numel()
                deviation = math.sqrt(2.6 / inputs)
                nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, **modalities: Tensor) -> dict[str, Tensor]:
        windows = {name: modalities[name] for name in self.modalities}
        if self.net == "fc":
            windows = {name: centre_pixel(x) for name, x in windows.items()}
        if self.fusion == "cross":
            return self._cross(windows)
        if self.fusion == "early":
            windows = {"joined": torch.cat(list(windows.values()), dim=1)}
        features = {name: self.extract[name](x) for name, x in windows.items()}
        if self.fusion == "alone":
            return {"output": self._logits(next(iter(features.values())))}
        if self.fusion == "late":
            return {"output": self._logits(torch.cat([self.joint[name](x) for name, x in features.items()], dim=1))}
        first, second = _layers(self.joint["joined"])
        code = first(torch.cat(list(features.values()), dim=1))
        found = {"output": self._logits(second(code))}
        if self.fusion == "en_de" and self.training:
            found |= {f"residual_{name}": self._rebuilt(name, code, x) - x for name, x in windows.items()}
        return found

    def _rebuilt(self, name: str, code: Tensor, x: Tensor) -> Tensor:
        if self.net == "cnn" and tuple(x.shape[-2:]) != (DECODED, DECODED):
            raise ConfigError(
                f"mdl_rs: the decoders of en_de rebuild {DECODED} x {DECODED} windows, got {x.shape[-2]} x "
                f"{x.shape[-1]}: data.window={DECODED}"
            )
        rebuilt: Tensor = self.decode[name](code)
        return rebuilt

    def _cross(self, windows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every modality through the last layer of every one; jointly, and from each modality alone."""
        found: dict[tuple[str, str], Tensor] = {}
        for source, x in windows.items():
            for layer in _layers(self.extract[source])[:-1]:
                x = layer(x)
            for name in self.modalities:
                last = _layers(self.extract[name])[-1]
                norm = last.norm if name == source else self.crossed[f"{source}_{name}"]
                found[source, name] = last.activated(last.conv(x), norm)
        joined = [torch.stack([found[source, name] for source in windows]).sum(0) for name in self.modalities]
        output = self._joint(joined, None)
        result = {"output": output}
        if self.training:
            for source in self.modalities:
                alone = self._joint([found[source, name] for name in self.modalities], source)
                result[f"residual_{source}"] = alone - output
        return result

    def _joint(self, features: Sequence[Tensor], alone: str | None) -> Tensor:
        """Logits through the shared fusion layers; the statistics are those of this source."""
        x = torch.cat(list(features), dim=1)
        layers = _layers(self.joint["joined"])
        norms = [layer.norm for layer in layers] if alone is None else list(cast(nn.ModuleList, self.alone[alone]))
        for layer, norm in zip(layers, norms, strict=True):
            x = layer.activated(layer.conv(x), norm)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        """A window of the published size has shrunk to one place here; what is left of others is averaged."""
        logits: Tensor = self.classify(x)
        return logits if self.net == "fc" else logits.mean(dim=(-2, -1))


def _layers(module: nn.Module) -> list[_Layer]:
    return cast(list[_Layer], list(cast(nn.Sequential, module)))


def _extraction(net: str, bands: int) -> nn.Sequential:
    pools = ("", "max", "", "max") if net == "cnn" else ("",) * 4
    inputs = (bands, *WIDTHS[:-1])
    return nn.Sequential(*(_Layer(*sizes) for sizes in zip(inputs, WIDTHS, KERNELS[net], pools, strict=True)))


def _fusion(net: str, inputs: int) -> nn.Sequential:
    if net == "fc":
        return nn.Sequential(_Layer(inputs, JOINT[0], 0), _Layer(*JOINT, 0))
    return nn.Sequential(_Layer(inputs, JOINT[0], 1), _Layer(*JOINT, 1, "mean"))


def chosen(channels: Mapping[str, int], modalities: Sequence[str] | None) -> tuple[str, ...]:
    """The modalities to use, in order.

    Raises:
        ConfigError: none, or one that the data do not have.
    """
    names = tuple(channels) if modalities is None else tuple(modalities)
    unknown = [name for name in names if name not in channels]
    if unknown or not names:
        raise ConfigError(f"modalities={list(names)}: one or more of {', '.join(channels)}")
    return names
