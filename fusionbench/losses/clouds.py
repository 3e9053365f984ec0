"""The cloud-adaptive loss of DSen2-CR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fusionbench.losses.term import Term, masked_mean


class CloudAdaptive(Term):
    """Absolute error against the cloudy image where it is clear, against the target where it is not.

    Reads ``cloudy`` and ``target`` [N,B,H,W], ``cloud`` [N,1,H,W] (1: cloud or shadow).

    Args:
        regularisation: weight of the absolute error against the target everywhere.

    Source: Meraner et al., ISPRS J. Photogramm. Remote Sens. 166, 2020, section 3.3.
    """

    roles = ("cloudy", "cloud", "target")

    def __init__(self, regularisation: float = 1.0) -> None:
        super().__init__()
        self.regularisation = regularisation

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        image, cloud = outputs["output"], batch["cloud"].to(outputs["output"])
        error = (image - batch["target"]).abs()
        kept = (image - batch["cloudy"]).abs()
        return masked_mean((1 - cloud) * kept + cloud * error + self.regularisation * error, mask)
