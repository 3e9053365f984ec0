"""UCGAN (Zhou et al., IEEE TGRS 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from fusionbench.networks.blocks.resampling import enlarge, first_sample


def low_pass(x: Tensor) -> Tensor:
    """5x5 mean of x [N,C,H,W]; the zeros beyond the border count."""
    return avg_pool2d(x, 5, stride=1, padding=2)


def _conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.InstanceNorm2d(outputs)]


class ChannelAttentionBlock(nn.Module):
    """Residual block whose features are joined with themselves, reweighted by channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(channels, channels), nn.ReLU(), *_conv(channels, channels))
        self.attention = nn.Sequential(
            nn.Linear(channels, channels // 2), nn.ReLU(), nn.Linear(channels // 2, channels), nn.Sigmoid()
        )
        self.join = nn.Sequential(*_conv(2 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        weight = self.attention(y.mean(dim=(-2, -1)))[..., None, None]
        return x + self.join(torch.cat([weight * y, y], dim=1))


class UCGAN(nn.Module):
    """Generator: one encoder for the high passes of MS and of PAN (repeated), fusion, a restorer that adds to MS.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; values in digital numbers, not clipped.
    Instance norm takes the statistics of the whole scene, so a scene is not tiled.
    MS is enlarged bicubically on the data's own pixel grid; the published code aligns corners.

    Source: Zhou et al., Unsupervised Cycle-Consistent Generative Adversarial Networks for Pan Sharpening, IEEE TGRS 60,
    2022.
    """

    tileable = False

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", width: int = 32) -> None:
        super().__init__()
        self.ratio, self.grid, self.bands = ratio, grid, bands

        def attend(blocks: int) -> list[nn.Module]:
            return [layer for _ in range(blocks) for layer in (ChannelAttentionBlock(width), nn.ReLU())]

        self.encoder = nn.Sequential(*_conv(bands, width), nn.ReLU(), *attend(1))
        self.fusion = nn.Sequential(*_conv(2 * width, width), nn.ReLU(), *attend(3))
        self.restorer = nn.Sequential(*attend(1), nn.Conv2d(width, bands, 3, padding=1))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        lms = enlarge(lr, self.ratio, first_sample(self.ratio, self.grid))
        pan = guide.expand(-1, self.bands, -1, -1)
        parts = [self.encoder(lms - low_pass(lms)), self.encoder(pan - low_pass(pan))]
        return lms + self.restorer(self.fusion(torch.cat(parts, dim=1)))


class UCGANDiscriminator(nn.Module):
    """Patch discriminator of a fused image with the pair that it was made from.

    Shapes: lr [N,B,h,w], guide [N,1,H,W], image [N,B,H,W] -> scores [N,1,about H/8,about W/8].
    """

    def __init__(self, bands: int, ratio: int = 4, grid: str = "dlpan", width: int = 32) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        layers: list[nn.Module] = [nn.Conv2d(2 * bands + 1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for depth, stride in ((1, 2), (2, 2), (3, 1)):
            inputs, outputs = width * 2 ** (depth - 1), width * 2**depth
            layers += [nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1), nn.InstanceNorm2d(outputs)]
            layers.append(nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, padding=1))

    def forward(self, lr: Tensor, guide: Tensor, image: Tensor) -> Tensor:
        lms = enlarge(lr, self.ratio, first_sample(self.ratio, self.grid))
        return self.body(torch.cat([guide, lms, image], dim=1))
