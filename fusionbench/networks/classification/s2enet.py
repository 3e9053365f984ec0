"""S2ENet (Fang et al., IEEE GRSL 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError


def _cbr(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _embedding(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.Sigmoid())


class _Enhancement(nn.Module):
    """A gate for one stream, learned from how both streams answer to each other.

    Args:
        inner: width of the embeddings.
        positions: the gate is for places, a weighted sum over so many places of the other stream; None: for channels,
            a weighted sum over the gated stream's channels.
        unused: also register the two layers that the public code never calls.
    """

    def __init__(self, inputs: int, inner: int, positions: int | None, unused: bool) -> None:
        super().__init__()
        if unused:
            self.g = nn.Conv2d(inputs, inner, 1)
            self.w_z = nn.Sequential(nn.Conv2d(inner, inputs, 1), nn.BatchNorm2d(inputs))
        self.own, self.other = _embedding(inputs, inner), _embedding(inputs, inner)
        self.spatial = positions is not None
        self.reduce = nn.Conv1d(inner if positions is None else positions, 1, 1, bias=False)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        a, b = self.own(own).flatten(2), self.other(other).flatten(2)  # [N, inner, positions]
        if self.spatial:
            affinity = torch.einsum("nca,ncb->nba", a, b)  # [N, places of other, places of own]
            gate = self.reduce(affinity).reshape(len(own), 1, *own.shape[-2:])
        else:
            affinity = torch.einsum("nap,nbp->nba", a, b)  # [N, channels of other, channels of own]
            gate = self.reduce(affinity).reshape(len(own), -1, 1, 1)
        return own * gate


class S2ENet(nn.Module):
    """S2ENet: the second modality gates places of the HS features, HS gates channels of the second's.

    Shapes: hs [N,B,p,p], aux [N,A,p,p] -> logits [N,C]; values in [0, 1].

    Args:
        hs, aux: bands.
        classes: C.
        window: p; the gate for places ties the weights to it.
        unused_layers: register the layers that the public code makes and never calls.

    Raises:
        ConfigError: windows of another size than ``window``.

    Source: Fang et al., S2ENet: Spatial-Spectral Cross-Modal Enhancement Network for Classification of Hyperspectral
    and LiDAR Data, IEEE GRSL 19, 2022, section II.
    """

    def __init__(self, hs: int, aux: int, classes: int, window: int = 7, unused_layers: bool = False) -> None:
        super().__init__()
        self.window = window
        self.hs1, self.aux1 = _cbr(hs, 128), _cbr(aux, 8)
        self.hs2, self.aux2 = _cbr(128, 64), _cbr(8, 16)
        self.hs3, self.aux3 = _cbr(64, 32), _cbr(16, 32)
        self.saem = _Enhancement(32, 16, window**2, unused_layers)
        self.seem = _Enhancement(32, 32, None, unused_layers)
        self.fuse = _cbr(64, 32, 1)
        self.classify = nn.Linear(32, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, hs: Tensor, aux: Tensor) -> Tensor:
        if tuple(hs.shape[-2:]) != (self.window, self.window):
            raise ConfigError(
                f"s2enet: built for windows of {self.window} px, got {hs.shape[-2]} x {hs.shape[-1]}; data.window and "
                "model.module.network.window must agree"
            )
        a, b = self.hs3(self.hs2(self.hs1(hs))), self.aux3(self.aux2(self.aux1(aux)))
        x = self.fuse(torch.cat([self.saem(a, b), self.seem(b, a)], dim=1))
        logits: Tensor = self.classify(x.mean(dim=(-2, -1)))
        return logits
