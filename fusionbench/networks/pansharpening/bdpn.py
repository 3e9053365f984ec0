"""BDPN (Zhang et al., IEEE TGRS 2019)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pixel_shuffle

from fusionbench.networks.blocks import init_variance_scaling

DEPTH = 10  # residual blocks per level


class _Block(nn.Module):
    """3x3 conv, PReLU (one slope), 3x3 conv, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv20 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv21 = nn.Conv2d(channels, channels, 3, padding=1)
        self.prelu = nn.PReLU(init=0.2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv21(self.prelu(self.conv20(x)))


class BDPN(nn.Module):
    """BDPN: details of PAN at full and half resolution are added to the MS on its way up by sub-pixel convolution.

    Shapes: lr [N,B,h,w], guide [N,1,4h,4w] -> ``output`` [N,B,4h,4w] and ``half`` [N,B,2h,2w]; values scaled to
    [0, 1], not clipped. Works at ratio 4 (two steps of 2); the learned upsampling fits either pixel grid.

    Source: Zhang et al., Pan-Sharpening Using an Efficient Bidirectional Pyramid Network, IEEE TGRS 57(8), 2019.
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 64) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        for level in ("res", "rres"):
            for index in range(1, DEPTH + 1):
                self.add_module(f"{level}{index}", _Block(channels))
        self.conv3 = nn.Conv2d(channels, bands, 3, padding=1)
        self.conv4 = nn.Conv2d(bands, 4 * bands, 3, padding=1)
        self.conv5 = nn.Conv2d(bands, 4 * bands, 3, padding=1)
        # one slope that no layer uses: it belongs to the published parameter count and weights
        self.prelu = nn.PReLU(init=0.2)
        init_variance_scaling(self)

    def _level(self, level: str, x: Tensor) -> Tensor:
        y = x
        for index in range(1, DEPTH + 1):
            y = self.get_submodule(f"{level}{index}")(y)
        return x + y

    def forward(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        full = self._level("res", self.conv1(guide))
        half = self._level("rres", max_pool2d(full, 2))
        middle = pixel_shuffle(self.conv4(lr), 2) + self.conv3(half)
        return {"output": pixel_shuffle(self.conv5(middle), 2) + self.conv3(full), "half": middle}
