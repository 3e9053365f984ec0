"""CMGFNet (Hosseinpour et al., ISPRS 2022): two residual encoders, gates between them, two light decoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from fusionbench.networks.blocks import pad_to_multiple

BLOCKS = (3, 4, 6, 3)  # ResNet-34
MULTIPLE = 64  # px: six halvings


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm beside a shortcut, [N,I,H,W] -> [N,O,H/stride,W/stride].

    Source: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, table 1 (34 layers).
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.shortcut(x) + self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))


class Encoder(nn.Module):
    """ResNet-34 without its head: [N,B,H,W] -> six levels at 1/2 to 1/64, each brought to ``side`` channels."""

    def __init__(self, bands: int, width: int, side: int) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        stem = nn.Conv2d(bands, width, 7, 2, padding=3, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(width), nn.ReLU())
        self.layers = nn.ModuleList()
        for number, count in enumerate(BLOCKS):
            inputs, outputs = widths[number], widths[number + 1]
            first = BasicBlock(inputs, outputs, 1 if number == 0 else 2)
            self.layers.append(nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(count - 1))))
        self.shrink, self.pool = nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(2)
        self.sides = nn.ModuleList(nn.Conv2d(channels, side, 1) for channels in (*widths, widths[-1]))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = [self.stem(x)]
        x = self.shrink(levels[0])
        for layer in self.layers:
            x = layer(x)
            levels.append(x)
        levels.append(self.pool(x))
        return [side(level) for side, level in zip(self.sides, levels, strict=True)]


class Gate(nn.Module):
    """Weighs two modalities [N,C,H,W] against each other by pixel and channel: -> [N,2C,H,W], the second first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        share = torch.sigmoid(self.conv(torch.cat([x, y], dim=1)))
        return torch.cat([y * (1 - share), x * share], dim=1)


class Up(nn.Module):
    """Twice the size: depthwise separable convolutions beside a 1 x 1 shortcut, [N,I,H,W] -> [N,O,2H,2W]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.main = nn.Sequential(
            nn.BatchNorm2d(inputs),
            *_separable(inputs, inputs),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            *_separable(inputs, outputs),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return self.shortcut(x) + self.main(x)


class CMGFNet(nn.Module):
    """Cross-modal gated fusion of an optical image and heights.

    Shapes: optical [N,B,H,W], height [N,1,H,W], values in [-1, 1] -> logits [N,C,H,W] of three heads: ``output``
    (fused), ``optical``, ``height``. Sides that are no multiple of 64 px are padded and cut off again.

    Args:
        bands: B.
        classes: C.
        width: channels of the encoders' first stage; 64: ResNet-34.
        side: channels of every level in the decoders.
        rectified: ReLU at the end of each head, as published; logits are then never negative.

    Source: Hosseinpour, Samadzadegan, Dadrass Javan, CMGFNet, ISPRS J. Photogramm. Remote Sens. 184, 2022.
    """

    def __init__(self, bands: int, classes: int = 2, width: int = 64, side: int = 16, rectified: bool = True) -> None:
        super().__init__()
        self.optical, self.height = Encoder(bands, width, side), Encoder(1, width, side)
        self.gates = nn.ModuleList(Gate(side) for _ in range(5))  # levels 1 to 5
        self.last_gate = Gate(side)
        self.optical_decoder = nn.ModuleList(Up(2 * side, side) for _ in range(5)).append(Up(side, side))
        self.cross_decoder = nn.ModuleList(Up(3 * side, side) for _ in range(5)).append(Up(side, side))
        self.head = _head(2 * side, classes, rectified)
        self.optical_head = _head(side, classes, rectified)
        self.height_head = _head(side, classes, rectified)

    def forward(self, optical: Tensor, height: Tensor) -> dict[str, Tensor]:
        rows, columns = optical.shape[-2:]
        xs = self.optical(pad_to_multiple(optical, MULTIPLE))
        ys = self.height(pad_to_multiple(height, MULTIPLE))
        r, c = self.optical_decoder[5](xs[5]), self.cross_decoder[5](ys[5])
        for level in (4, 3, 2, 1, 0):
            r = self.optical_decoder[level](torch.cat([xs[level], r], dim=1))
            c = self.cross_decoder[level](torch.cat([self.gates[level](xs[level], ys[level]), c], dim=1))
        found = {
            "output": self.head(self.last_gate(r, c)),
            "optical": self.optical_head(r),
            "height": self.height_head(c),
        }
        return {name: logits[..., :rows, :columns] for name, logits in found.items()}


def _separable(inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    return nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.Conv2d(inputs, outputs, 1)


def _head(inputs: int, classes: int, rectified: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, classes, 1), nn.BatchNorm2d(classes)]
    return nn.Sequential(*layers, *([nn.ReLU()] if rectified else []))
