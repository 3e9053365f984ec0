"""Two-branch CNN (Xu et al., IEEE TGRS 2018): trunks learned alone, then frozen and fused."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool1d, max_pool2d

from fusionbench.errors import ConfigError

BRANCHES = ("hs", "aux")


def _norm(channels: int, dimensions: int = 2) -> nn.Module:
    kind = nn.BatchNorm1d if dimensions == 1 else nn.BatchNorm2d
    return kind(channels, eps=1e-3, momentum=0.01)


def _act(x: Tensor) -> Tensor:
    return leaky_relu(x, 0.2)


class _HSTrunk(nn.Module):
    """Spatial features of a window and spectral ones of its centre: [N,B,p,p] -> [N, features]."""

    def __init__(self, bands: int, window: int) -> None:
        super().__init__()
        self.spatial1, self.spatial_norm = nn.Conv2d(bands, 256, 3, padding=1), _norm(256)
        self.spatial2 = nn.Conv2d(256, 512, 1)
        self.spectral1, self.spectral_norm = nn.Conv1d(1, 64, 11), _norm(64, 1)
        self.spectral2 = nn.Conv1d(64, 128, 3)
        self.features = 512 * (-(-window // 2)) ** 2 + 128 * ((bands - 12) // 2)

    def forward(self, x: Tensor) -> Tensor:
        middle = x[:, :, x.shape[-2] // 2, x.shape[-1] // 2].unsqueeze(1)
        space = _act(self.spatial2(_act(self.spatial_norm(self.spatial1(x)))))
        spectrum = _act(self.spectral2(_act(self.spectral_norm(self.spectral1(middle)))))
        return torch.cat([max_pool2d(space, 2, ceil_mode=True).flatten(1), max_pool1d(spectrum, 2).flatten(1)], dim=1)


class _Cascade(nn.Module):
    """Two short ways around convolutions: [N,c,H,W] -> [N,n,H,W]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, 2 * width, 3, padding=1), _norm(2 * width)
        self.conv2, self.norm2 = nn.Conv2d(2 * width, width, 1), _norm(width)
        self.short = nn.Conv2d(inputs, 2 * width, 1, bias=False)
        self.conv3, self.norm3 = nn.Conv2d(width, 2 * width, 3, padding=1), _norm(2 * width)
        self.conv4, self.norm4 = nn.Conv2d(2 * width, width, 3, padding=1), _norm(width)

    def forward(self, z: Tensor) -> Tensor:
        b = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(z)))))
        e = _act(self.norm3(self.short(z) + self.conv3(_act(b))))
        return _act(b + self.norm4(self.conv4(e)))


class _AuxTrunk(nn.Module):
    """[N,A,p,p] -> [N, features]."""

    def __init__(self, bands: int, window: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(bands, 64, 3, padding=1)
        self.cascade1, self.cascade2 = _Cascade(64, 64), _Cascade(64, 128)
        self.features = 128 * (-(-window // 2)) ** 2

    def forward(self, x: Tensor) -> Tensor:
        x = _act(max_pool2d(self.cascade1(_act(self.conv(x))), 2, ceil_mode=True))
        return cast(Tensor, self.cascade2(x)).flatten(1)


def _keras_init(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class BranchClassifier(nn.Module):
    """One trunk with a classifier of its own, as the first two stages train it: [N,B,p,p] -> logits [N,C].

    Args:
        branch: ``hs`` or ``aux``.
        bands: B. HS needs 14 or more.
        classes: C.
        window: p.

    Raises:
        ConfigError: another branch, or too few bands.
    """

    def __init__(self, branch: str, bands: int, classes: int, window: int = 11) -> None:
        super().__init__()
        if branch not in BRANCHES or (branch == "hs" and bands < 14):
            raise ConfigError(f"two_branch_cnn: branch={branch} of {bands} bands; hs (14 bands or more) or aux")
        self.trunk = _HSTrunk(bands, window) if branch == "hs" else _AuxTrunk(bands, window)
        self.dropout = nn.Dropout(0.5)
        self.classify = nn.Linear(self.trunk.features, classes)
        _keras_init(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.dropout(self.trunk(x)))
        return logits


class TwoBranchCNN(nn.Module):
    """Two-branch CNN: features of an HS trunk and of a second trunk, fused by a small dense head.

    Shapes: hs [N,B,p,p], aux [N,A,p,p] -> logits [N,C]; rasters standardised. The trunks get no gradient and stay in
    evaluation mode: they come from `BranchClassifier`s that were trained alone.

    Args:
        hs, aux: bands.
        classes: C.
        window: p.
        frozen: false: trunks learn along with the head.

    Source: Xu et al., Multisource Remote Sensing Data Classification Based on Convolutional Neural Network, IEEE TGRS
    56(2), 2018, section III.
    """

    def __init__(self, hs: int, aux: int, classes: int, window: int = 11, frozen: bool = True) -> None:
        super().__init__()
        self.frozen = frozen
        self.trunks = nn.ModuleDict({"hs": _HSTrunk(hs, window), "aux": _AuxTrunk(aux, window)})
        features = sum(int(cast(int, trunk.features)) for trunk in self.trunks.values())
        self.norm, self.dropout = _norm(features, 1), nn.Dropout(0.25)
        self.dense, self.classify = nn.Linear(features, 128), nn.Linear(128, classes)
        _keras_init(self)

    def train(self, mode: bool = True) -> TwoBranchCNN:
        """Training mode of the head; frozen trunks keep evaluating."""
        super().train(mode)
        if self.frozen:
            self.trunks.eval()
        return self

    def forward(self, hs: Tensor, aux: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = torch.cat([self.trunks["hs"](hs), self.trunks["aux"](aux)], dim=1)
        logits: Tensor = self.classify(_act(self.dense(self.dropout(self.norm(x)))))
        return logits
