"""What the stages of the two-branch CNN do beside training its head."""

from __future__ import annotations

from torch import Tensor, nn

from fusionbench.networks.classification.two_branch_cnn import BranchClassifier, TwoBranchCNN


class HSAlone(nn.Module):
    """First stage: logits [N,C] of the HS trunk's own classifier."""

    def forward(self, hs_branch: nn.Module, hs: Tensor) -> dict[str, Tensor]:
        return {"output": hs_branch(hs)}


class AuxAlone(nn.Module):
    """Second stage: logits [N,C] of the second trunk's own classifier."""

    def forward(self, aux_branch: nn.Module, aux: Tensor) -> dict[str, Tensor]:
        return {"output": aux_branch(aux)}


class HandOver(nn.Module):
    """Between the stages: the network takes the trunks that were learned alone."""

    def forward(self, network: TwoBranchCNN, hs_branch: BranchClassifier, aux_branch: BranchClassifier) -> None:
        for name, branch in (("hs", hs_branch), ("aux", aux_branch)):
            network.trunks[name].load_state_dict(branch.trunk.state_dict())
