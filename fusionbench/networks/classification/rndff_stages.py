"""Stages of decision fusion: three networks learned alone, then handed over, and the weights of the vote chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import DataError
from fusionbench.networks.classification.rndff import DecisionFusion, fused_probabilities

STEPS = 100  # a and b in hundredths


class HSStage(nn.Module):
    """Logits [N,C] of the network of HS."""

    def forward(self, ssrn_hs: nn.Module, hs: Tensor) -> dict[str, Tensor]:
        return {"output": ssrn_hs(hs)}


class HSFeaturesStage(nn.Module):
    """Logits [N,C] of the network of HS profiles and patterns."""

    def forward(self, ssrn_hs_features: nn.Module, hs_features: Tensor) -> dict[str, Tensor]:
        return {"output": ssrn_hs_features(hs_features)}


class AuxFeaturesStage(nn.Module):
    """Logits [N,C] of the network of the second modality's profiles and patterns."""

    def forward(self, ssrn_aux_features: nn.Module, aux_features: Tensor) -> dict[str, Tensor]:
        return {"output": ssrn_aux_features(aux_features)}


def best_weights(probabilities: list[Tensor], labels: Tensor) -> tuple[float, float]:
    """The (a, b) of the weighted sum with most pixels right, in hundredths; the first of equals, a before b.

    Args:
        probabilities: of three classifiers, [N,C] each.
        labels: [N] class indices.
    """
    best, found = -1, (0.5, 2 / 3)
    for first in range(1, STEPS + 1):
        for second in range(1, STEPS + 1):
            weights = (first / STEPS, second / STEPS)
            right = int((fused_probabilities(probabilities, "rnprf", weights).argmax(1) == labels).sum())
            if right > best:
                best, found = right, weights
    return found


class DecisionWeights(nn.Module):
    """The network takes the three networks that were learned alone, and the weights that suit held-back pixels best.

    ``batches`` are to be validation pixels (``view: {train_on: val}``): those the networks have not learned by heart.

    Raises:
        DataError: there are no such pixels.
    """

    def forward(
        self,
        network: DecisionFusion,
        ssrn_hs: nn.Module,
        ssrn_hs_features: nn.Module,
        ssrn_aux_features: nn.Module,
        batches: Iterable[Mapping[str, Any]],
    ) -> None:
        for member, learned in zip(network.members, (ssrn_hs, ssrn_hs_features, ssrn_aux_features), strict=True):
            member.load_state_dict(learned.state_dict())
        if network.rule != "rnprf":
            return
        network.eval()
        said, labels = [], []
        for batch in batches:
            said.append(network.probabilities(batch["hs"], batch["hs_features"], batch["aux_features"]))
            labels.append(batch["target"])
        if not labels:
            raise DataError("rnprf: no validation pixels to choose its weights on (data.split.val)")
        joined = [torch.cat(rows) for rows in zip(*said, strict=True)]
        network.weights.copy_(torch.tensor(best_weights(joined, torch.cat(labels)), dtype=torch.float64))
