"""RNDFF, and its spectral-spatial residual networks fused at the decision (Ge et al., IEEE JSTARS 2021)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError

RULES = ("rnprf", "rnpmf", "vote")


def _norm(channels: int) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(channels, eps=1e-3, momentum=0.01)


class _Residual(nn.Module):
    """Two 3-D convolutions around which the input goes; pre-activated but for the first unit."""

    def __init__(self, width: int, kernel: tuple[int, int, int], first: bool) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.before = nn.Identity() if first else nn.Sequential(_norm(width), nn.ReLU())
        self.conv1 = nn.Conv3d(width, width, kernel, padding=padding)
        self.norm = _norm(width)
        self.conv2 = nn.Conv3d(width, width, kernel, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.conv2(torch.relu(self.norm(self.conv1(self.before(x))))))


class _Stream(nn.Module):
    """Spectral, then spatial residual units over one cube: [N,B,p,p] -> [N,F]."""

    def __init__(self, bands: int, width: int, spectral: int, spatial: int) -> None:
        super().__init__()
        if bands < 7:
            raise ConfigError(f"rndff: a cube has 7 bands or more, got {bands}")
        depth = (bands - 7) // 2 + 1

        def act(channels: int) -> list[nn.Module]:
            return [_norm(channels), nn.ReLU()]

        self.layers = nn.Sequential(
            nn.Conv3d(1, width, (1, 1, 7), stride=(1, 1, 2)),
            *act(width),
            *(_Residual(width, (1, 1, 7), first=i == 0) for i in range(spectral)),
            *act(width),
            nn.Conv3d(width, 128, (1, 1, depth)),
            *act(128),
        )
        self.spatial = nn.Sequential(
            nn.Conv3d(1, width, (3, 3, 128)),
            *act(width),
            *(_Residual(width, (3, 3, 1), first=i == 0) for i in range(spatial)),
            *act(width),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv3d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(cast(nn.Parameter, layer.bias))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x.movedim(1, -1).unsqueeze(1))  # [N,1,p,p,B] -> [N,128,p,p,1]
        x = self.spatial(x.squeeze(-1).movedim(1, -1).unsqueeze(1))  # the 128 maps become the third axis
        return x.mean(dim=(-3, -2, -1))


class SSRN(nn.Module):
    """Spectral-spatial residual network of one cube: [N,B,p,p], standardised bands -> logits [N,C].

    Args:
        bands: B, 7 or more.
        classes: C.
        filters: F, width of the residual units.
        spectral, spatial: number of units.

    Raises:
        ConfigError: too few bands.

    Source: Ge et al., Deep Residual Network-Based Fusion Framework for Hyperspectral and LiDAR Data, IEEE JSTARS 14,
    2021, section II.
    """

    def __init__(self, bands: int, classes: int, filters: int = 16, spectral: int = 2, spatial: int = 2) -> None:
        super().__init__()
        self.stream = _Stream(bands, filters, spectral, spatial)
        self.dropout, self.classify = nn.Dropout(0.5), nn.Linear(filters, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.dropout(self.stream(x)))
        return logits


class RNDFF(nn.Module):
    """RNDFF: features of three cubes, each through residual units of its own, before one classifier.

    Shapes: hs [N,B,p,p], hs_features [N,E,p,p], aux_features [N,F,p,p], standardised bands -> logits [N,C].

    Args:
        hs, hs_features, aux_features: bands, 7 or more.
        classes: C.
        filters, spectral, spatial: see `SSRN`.

    Source: Ge et al., IEEE JSTARS 14, 2021, section II.C.
    """

    def __init__(
        self,
        hs: int,
        hs_features: int,
        aux_features: int,
        classes: int,
        filters: int = 24,
        spectral: int = 2,
        spatial: int = 2,
    ) -> None:
        super().__init__()
        self.streams = nn.ModuleList(_Stream(b, filters, spectral, spatial) for b in (hs, hs_features, aux_features))
        self.dropout, self.classify = nn.Dropout(0.5), nn.Linear(3 * filters, classes)

    def forward(self, hs: Tensor, hs_features: Tensor, aux_features: Tensor) -> Tensor:
        cubes = zip(self.streams, (hs, hs_features, aux_features), strict=True)
        logits: Tensor = self.classify(self.dropout(torch.cat([stream(x) for stream, x in cubes], dim=1)))
        return logits


def fused_probabilities(
    probabilities: list[Tensor], rule: str, weights: tuple[float, float] = (1 / 2, 2 / 3)
) -> Tensor:
    """Class probabilities of three classifiers [N,C] as one [N,C], up to a factor.

    Args:
        probabilities: of HS, of its features, of the second modality's features.
        rule: ``rnprf``: a b P1 + (1 - a) b P2 + (1 - b) P3; ``rnpmf``: their product; ``vote``: the class that most
            name, the surer of them where all differ.
        weights: (a, b) of rnprf.

    Raises:
        ConfigError: another rule.

    Source: Ge et al., IEEE JSTARS 14, 2021, section II.D.
    """
    one, two, three = probabilities
    if rule == "rnprf":
        a, b = weights
        return a * b * one + (1 - a) * b * two + (1 - b) * three
    if rule == "rnpmf":
        return one * two * three
    if rule == "vote":
        stacked = torch.stack(probabilities)
        votes = torch.zeros_like(one)
        for row in stacked:
            votes.scatter_add_(1, row.argmax(1, keepdim=True), torch.ones_like(row[:, :1]))
        return votes + stacked.amax(0) / 2  # a probability never outweighs a vote
    raise ConfigError(f"rndff: rule={rule}; one of {', '.join(RULES)}")


class DecisionFusion(nn.Module):
    """Three residual networks, each on a cube of its own, whose class probabilities are fused by a rule.

    Shapes: as `RNDFF` -> logarithms of the fused probabilities [N,C].

    Args:
        hs, hs_features, aux_features: bands, 7 or more.
        classes: C.
        rule: see `fused_probabilities`.
        filters, spectral: of the three networks.

    Raises:
        ConfigError: another rule.

    Source: Ge et al., IEEE JSTARS 14, 2021, section II.D.
    """

    weights: Tensor

    def __init__(
        self,
        hs: int,
        hs_features: int,
        aux_features: int,
        classes: int,
        rule: str = "rnprf",
        filters: tuple[int, int, int] = (16, 32, 32),
        spectral: tuple[int, int, int] = (2, 3, 3),
    ) -> None:
        super().__init__()
        if rule not in RULES:
            raise ConfigError(f"model.module.network.rule={rule}; one of {', '.join(RULES)}")
        self.rule = rule
        bands = zip((hs, hs_features, aux_features), filters, spectral, strict=True)
        self.members = nn.ModuleList(SSRN(b, classes, width, units) for b, width, units in bands)
        self.register_buffer("weights", torch.tensor([1 / 2, 2 / 3], dtype=torch.float64))  # all three alike

    def probabilities(self, hs: Tensor, hs_features: Tensor, aux_features: Tensor) -> list[Tensor]:
        """What each member says, [N,C] float64."""
        cubes = zip(self.members, (hs, hs_features, aux_features), strict=True)
        return [member(x).double().softmax(1) for member, x in cubes]

    def forward(self, hs: Tensor, hs_features: Tensor, aux_features: Tensor) -> Tensor:
        a, b = self.weights.tolist()
        fused = fused_probabilities(self.probabilities(hs, hs_features, aux_features), self.rule, (a, b))
        return fused.clamp_min(torch.finfo(fused.dtype).tiny).log().float()
