"""PanColorGAN (Ozcelik et al., IEEE TGRS 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fusionbench.errors import ConfigError
from fusionbench.imaging import imresize
from fusionbench.networks.blocks import pad_to_multiple
from fusionbench.networks.blocks.resampling import enlarge, first_sample

UPSAMPLINGS = ("resize_conv", "conv_transpose")


def min_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest value and span of every band of every image, [N,C,1,1] each; a flat band has span 1."""
    low = x.amin(dim=(-2, -1), keepdim=True)
    span = x.amax(dim=(-2, -1), keepdim=True) - low
    return low, torch.where(span > 0, span, torch.ones_like(span))


def to_unit(x: Tensor) -> Tensor:
    """Every band of every image stretched to [-1, 1] by its own extremes."""
    low, span = min_max(x)
    return 2 * (x - low) / span - 1


class _Double(nn.Module):
    """Nearest x2, then 3x3: [N,C,H,W] -> [N,D,2H,2W]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(interpolate(x, scale_factor=2, mode="nearest"))


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    return [layer, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        self.body = nn.Sequential(*_conv(channels, channels), last, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PanColorGAN(nn.Module):
    """Generator: a two-stream U-shaped network that colours PAN with the blurred MS.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> [N,B,H,W]; any values. Every band, and PAN, is stretched
    to [-1, 1] by its own extremes and the result is stretched back by those of MS, so a scene is not tiled.
    An lr of the guide's size counts as blurred MS that is stretched already, like guide: the result stays in [-1, 1].
    MS is enlarged bicubically and clipped to [-1, 1]. Sides that are no multiple of 4 are continued and cut back.

    Raises:
        ConfigError: unknown ``up`` (resize_conv, as in the released weights, or conv_transpose).

    Source: Ozcelik et al., Rethinking CNN-Based Pansharpening: Guided Colorization of Panchromatic Images via GANs,
    IEEE TGRS 59(4), 2021.
    """

    tileable = False  # extremes of the whole scene
    size_multiple = 4  # guide px; two strides of 2

    def __init__(
        self,
        bands: int,
        ratio: int = 4,
        grid: str = "dlpan",
        width: int = 32,
        blocks: int = 6,
        up: str = "resize_conv",
    ) -> None:
        super().__init__()
        if up not in UPSAMPLINGS:
            raise ConfigError(f"pancolorgan: up={up!r} is unknown; choose one of {', '.join(UPSAMPLINGS)}")
        self.ratio, self.grid = ratio, grid
        n = width
        self.color1 = nn.Sequential(*_conv(bands, n), *_conv(n, n))
        self.color2 = nn.Sequential(*_conv(n, 2 * n, 2))
        self.color3 = nn.Sequential(*_conv(2 * n, 4 * n, 2))
        self.model1 = nn.Sequential(*_conv(1, n), *_conv(n, n))
        self.model2 = nn.Sequential(*_conv(2 * n, 2 * n, 2))
        self.model3 = nn.Sequential(*_conv(4 * n, 4 * n, 2))
        self.res = nn.Sequential(*(_Residual(8 * n) for _ in range(blocks)))
        self.model4 = nn.Sequential(*_conv(8 * n, 4 * n))
        self.model5 = self._up(up, 8 * n, 4 * n)
        self.model6 = nn.Sequential(*_conv(4 * n, 2 * n))
        self.model7 = self._up(up, 4 * n, 2 * n)
        self.model8 = nn.Sequential(*_conv(2 * n, n))
        self.model9 = nn.Sequential(*_conv(2 * n, n), nn.Conv2d(n, bands, 3, padding=1))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight)
                layer.weight.data *= 0.1

    @staticmethod
    def _up(kind: str, inputs: int, outputs: int) -> nn.Sequential:
        layer = (
            _Double(inputs, outputs)
            if kind == "resize_conv"
            else nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        )
        return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        if lr.shape[-2:] == guide.shape[-2:]:
            return self._colour(lr, guide)
        low, span = min_max(lr)
        lms = enlarge(to_unit(lr), self.ratio, first_sample(self.ratio, self.grid)).clamp(-1, 1)
        return (self._colour(lms, to_unit(guide)) + 1) / 2 * span + low

    def _colour(self, lms: Tensor, guide: Tensor) -> Tensor:
        """[N,B,H,W] and [N,1,H,W] in [-1, 1] -> [N,B,H,W] in [-1, 1]."""
        c1 = self.color1(pad_to_multiple(lms, self.size_multiple))
        p1 = self.model1(pad_to_multiple(guide, self.size_multiple))
        c2, p2 = self.color2(c1), self.model2(torch.cat([p1, c1], dim=1))
        c3, p3 = self.color3(c2), self.model3(torch.cat([p2, c2], dim=1))
        x = self.model4(self.res(torch.cat([p3, c3], dim=1)))
        x = self.model6(self.model5(torch.cat([p3, x], dim=1)))
        x = self.model8(self.model7(torch.cat([p2, x], dim=1)))
        x = torch.tanh(self.model9(torch.cat([p1, x], dim=1)))
        return x[..., : guide.shape[-2], : guide.shape[-1]]


class PanColorGANDiscriminator(nn.Module):
    """Patch discriminator of an image given what the generator saw.

    Shapes: lr (enlarged) and image [N,B,H,W], guide [N,1,H,W], in [-1, 1] -> logits [N,1,about H/32,about W/32].
    """

    def __init__(self, bands: int, width: int = 64, layers: int = 5) -> None:
        super().__init__()
        body: list[nn.Module] = [nn.Conv2d(2 * bands + 1, width, 4, stride=2, padding=2), nn.LeakyReLU(0.2)]
        inputs = width
        for depth in range(1, layers + 1):
            outputs = width * min(2**depth, 8)
            stride = 1 if depth == layers else 2
            body.append(nn.Conv2d(inputs, outputs, 4, stride=stride, padding=2))
            body += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.body = nn.Sequential(*body, nn.Conv2d(inputs, 1, 4, padding=2))

    def forward(self, lr: Tensor, guide: Tensor, image: Tensor) -> Tensor:
        return self.body(torch.cat([lr, guide, image], dim=1))


class ColourView(nn.Module):
    """What PanColorGAN trains on: MS alone, its blurred version and its band mean in place of PAN.

    Shapes: target [N,B,H,W] -> lr (of the target's size), guide [N,1,H,W] and target, each band stretched to [-1, 1].

    Args:
        ratio: MS is blurred by shrinking it this many times and enlarging it again (bicubic).
        random: the shrunk size is drawn for each image between 20/256 and 79/256 of the patch ("+RD"), not 1 / ratio.
    """

    LOW, HIGH = 20 / 256, 79 / 256

    def __init__(self, ratio: int = 4, random: bool = True) -> None:
        super().__init__()
        self.ratio, self.random = ratio, random

    def forward(self, target: Tensor) -> dict[str, Tensor]:
        scaled = to_unit(target)
        blurred = torch.cat([self._blurred(image) for image in scaled.split(1)]).clamp(-1, 1)
        return {"lr": blurred, "guide": to_unit(target.mean(dim=1, keepdim=True)), "target": scaled}

    def _blurred(self, image: Tensor) -> Tensor:
        rows, columns = image.shape[-2:]
        share = self.LOW + (self.HIGH - self.LOW) * torch.rand(()).item() if self.random else 1 / self.ratio
        small = imresize(image, (max(round(rows * share), 1), max(round(columns * share), 1)))
        return imresize(small, (rows, columns))
