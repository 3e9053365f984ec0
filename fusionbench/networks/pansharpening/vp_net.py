"""VP-Net (Tian et al., IEEE TGRS 2021)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fusionbench.errors import ConfigError
from fusionbench.imaging import check_grid
from fusionbench.networks.blocks import enlarge, first_sample, reduce

RESIZES = ("legacy", "aligned")
SIGNS = ("feature", "difference")
GUARD = 0.1  # keeps divisions by dark pixels apart from zero


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


class _Stage(nn.Module):
    """Parameters and steps of one unrolled iteration."""

    def __init__(self, bands: int, channels: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.tensor(0.1))
        self.m = nn.Parameter(torch.tensor(0.05))
        self.th = nn.Parameter(torch.tensor(0.1))
        self.c_in = _conv(bands, channels)
        self.c_pan = _conv(1, channels)
        self.c_a = _conv(channels, channels)
        self.c_b = _conv(channels, channels)
        self.c_c = _conv(channels, channels)
        self.c_d = _conv(channels, channels)
        self.c_out = _conv(channels, bands)

    def analyse(self, x: Tensor) -> Tensor:
        return self.c_b(relu(self.c_a(x)))

    def synthesise(self, x: Tensor) -> Tensor:
        return self.c_d(relu(self.c_c(x)))


class VPNet(nn.Module):
    """VP-Net: seven unrolled steps of a variational model, pulled to PAN by soft thresholding in a feature space.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> ``output`` [N,B,H,W] and ``symmetry``
    [N,stages,channels,H,W], how far each stage's synthesis is from undoing its analysis; values scaled to [0, 1],
    not clipped.

    Args:
        resize: legacy, the published bilinear operators with MS sample 0 on PAN pixel 0 | aligned, on the data's grid.
        threshold_sign: feature, as in the published code | difference, the soft threshold of the text.

    Raises:
        ConfigError: an unknown option.

    Source: Tian, Li, Wang, Ma, VP-Net: An Interpretable Deep Network for Variational Pansharpening, IEEE TGRS 2021.
    """

    def __init__(
        self,
        bands: int,
        ratio: int = 4,
        grid: str = "dlpan",
        stages: int = 7,
        channels: int = 40,
        resize: str = "legacy",
        threshold_sign: str = "feature",
    ) -> None:
        super().__init__()
        check_grid(grid, ratio)
        if resize not in RESIZES:
            raise ConfigError(f"vp_net: resize={resize!r} is unknown; choose one of {', '.join(RESIZES)}")
        if threshold_sign not in SIGNS:
            raise ConfigError(f"vp_net: threshold_sign={threshold_sign!r} is unknown; choose one of {', '.join(SIGNS)}")
        self.ratio, self.threshold_sign = ratio, threshold_sign
        self.first = first_sample(ratio, "legacy" if resize == "legacy" else grid)
        # the last stage's c_pan, th and c_out would only serve a further stage; the published weights have them
        self.stages = nn.ModuleList(_Stage(bands, channels) for _ in range(stages))

    def forward(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        x = upsampled = self._up(lr)
        mean = upsampled.mean(dim=1, keepdim=True)
        q = mean.expand_as(x)
        last = len(self.stages) - 1
        symmetry = []
        for index, stage in enumerate(cast("list[_Stage]", self.stages)):
            x = x - stage.s * self._up(reduce(x, self.ratio, self.first) - lr)
            x = (x + stage.m * q * upsampled / (mean + GUARD)) / (1 + stage.m)
            z = x * mean / (upsampled + GUARD)
            a = stage.c_in(z)
            features = stage.analyse(a)
            symmetry.append(stage.synthesise(features) - a)
            if index < last:
                pan = stage.analyse(stage.c_pan(guide))
                difference = features - pan
                sign = (features if self.threshold_sign == "feature" else difference).sign()
                q = stage.c_out(stage.synthesise(sign * relu(difference.abs() - stage.th) + pan)) + z
        return {"output": x, "symmetry": torch.stack(symmetry, dim=1)}

    def _up(self, x: Tensor) -> Tensor:
        return enlarge(x, self.ratio, self.first, "bilinear")
