"""What the stages of UnifiedDL-UFZ do beside training the second one."""

from __future__ import annotations

from torch import Tensor, nn

from fusionbench.networks.geospatial_big_data.unifieddl_ufz import PatchFusion, UnifiedDLUFZ


class CellsAlone(nn.Module):
    """First stage: logits [N,K] of single cells."""

    def forward(self, cells: nn.Module, image: Tensor, poi: Tensor) -> dict[str, Tensor]:
        return {"output": cells(image, poi)}


class TakeCells(nn.Module):
    """Between the stages: the network takes the cells' fusion that was learned alone."""

    def forward(self, network: UnifiedDLUFZ, cells: PatchFusion) -> None:
        network.patches.load_state_dict(cells.state_dict())
