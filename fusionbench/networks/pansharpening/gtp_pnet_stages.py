"""What GTP-PNet's two stages compare: gradients that TNet transforms, and those of PAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusionbench.imaging import check_grid, decimate
from fusionbench.networks.pansharpening.gtp_pnet import sobel


def transformed(tnet: nn.Module, image: Tensor) -> Tensor:
    """What TNet makes of both gradients of an image: [N,B,H,W] -> [N,2,H,W], horizontal first."""
    return torch.cat([tnet(gradient) for gradient in sobel(image)], dim=1)


class TNetLearning(nn.Module):
    """First stage: target [N,B,H,W] and guide [N,1,H,W] -> TNet's output and PAN's own gradients, [N,2,H,W] each."""

    def forward(self, tnet: nn.Module, target: Tensor, guide: Tensor) -> dict[str, Tensor]:
        return {"output": transformed(tnet, target), "guide_gradients": torch.cat(sobel(guide), dim=1)}


class GradientPrior(nn.Module):
    """Second stage: the result's transformed gradients [N,2,H,W] beside PAN's, and the result on the MS grid.

    Args:
        ratio: PAN pixels per MS pixel.
        grid: of the data.
        resize: as of the network: ``legacy`` takes every ratio-th pixel, the first included; ``aligned`` samples where
            MS lies.
    """

    def __init__(self, ratio: int, grid: str, resize: str = "legacy") -> None:
        super().__init__()
        check_grid(grid, ratio)
        self.ratio, self.grid, self.resize = ratio, grid, resize

    def forward(self, tnet: nn.Module, output: Tensor, guide: Tensor) -> dict[str, Tensor]:
        step = self.ratio
        legacy = self.resize == "legacy"
        return {
            "gradients": transformed(tnet, output),
            "guide_gradients": torch.cat(sobel(guide), dim=1),
            "reduced": output[..., ::step, ::step] if legacy else decimate(output, step, self.grid),
        }
