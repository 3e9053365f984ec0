"""TDNet (Zhang et al., IEEE TNNLS 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pixel_shuffle, relu

from fusionbench.networks.blocks import init_variance_scaling, wake


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class _PanBranch(nn.Module):
    """PAN [N,1,H,W] -> details at full and at half resolution, [N,B,H,W] and [N,B,H/2,W/2]."""

    def __init__(self, bands: int, channels: int, input_relu: bool) -> None:
        super().__init__()
        self.input_relu = input_relu
        self.conv_input = _conv(1, channels, 3)
        self.conv_1 = _conv(channels, channels, 3)
        self.conv_2 = _conv(channels, channels, 3)
        self.conv_output1 = _conv(channels, bands, 3)
        self.conv_12 = _conv(channels, channels, 3)
        self.conv_22 = _conv(channels, channels, 3)

    def features(self, pan: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv_input(pan)
        x = relu(x) if self.input_relu else x
        full = self.conv_2(relu(self.conv_1(x))) + x
        half = max_pool2d(full, 2)
        return full, self.conv_22(relu(self.conv_12(half))) + half

    def forward(self, pan: Tensor) -> tuple[Tensor, Tensor]:
        full, half = self.features(pan)
        return relu(self.conv_output1(full)), relu(self.conv_output1(half))


class _MRAB(nn.Module):
    """Details injected with a gain per pixel in (0, 1), the same for all bands: x + w d."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.pa = nn.Sequential(
            _conv(2 * bands, 1, 3), nn.ReLU(), _conv(1, 1, 5), nn.ReLU(), _conv(1, 1, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor, details: Tensor) -> Tensor:
        return x + self.pa(torch.cat([x, details], dim=1)) * details


class _MSCB(nn.Module):
    """Multi-scale residual convolutions, the deep branch of MSDCNN: [N,2B,H,W] -> [N,B,H,W]."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.conv1 = _conv(2 * bands, 60, 7)
        self.conv2_1 = _conv(60, 20, 3)
        self.conv2_2 = _conv(60, 20, 5)
        self.conv2_3 = _conv(60, 20, 7)
        self.conv3 = _conv(60, 30, 3)
        self.conv4_1 = _conv(30, 10, 3)
        self.conv4_2 = _conv(30, 10, 5)
        self.conv4_3 = _conv(30, 10, 7)
        self.conv5 = _conv(30, bands, 5)

    def forward(self, x: Tensor) -> Tensor:
        a = relu(self.conv1(x))
        b = relu(a + torch.cat([self.conv2_1(a), self.conv2_2(a), self.conv2_3(a)], dim=1))
        c = relu(self.conv3(b))
        d = relu(c + torch.cat([self.conv4_1(c), self.conv4_2(c), self.conv4_3(c)], dim=1))
        return self.conv5(d)


class TDNet(nn.Module):
    """TDNet: two doublings of the MS, each with PAN details injected by a learned gain and refined at several scales.

    Shapes: lr [N,B,h,w], guide [N,1,4h,4w] -> ``output`` [N,B,4h,4w] and ``half`` [N,B,2h,2w]; values scaled to
    [0, 1], not clipped. Works at ratio 4; the learned upsampling fits either pixel grid.

    Args:
        input_relu: a ReLU after the first convolution of PAN, which the published weights seem to want.

    Source: Zhang et al., A Triple-Double Convolutional Neural Network for Panchromatic Sharpening, IEEE TNNLS 2022.
    """

    def __init__(
        self, bands: int, ratio: int = 4, grid: str = "dlpan", channels: int = 64, input_relu: bool = False
    ) -> None:
        super().__init__()
        self.ratio, self.grid = ratio, grid
        self.pan_branch = _PanBranch(bands, channels, input_relu)
        self.conv_up = _conv(bands, 4 * bands, 3)
        self.conv_up2 = nn.Sequential(_conv(bands, 4 * bands, 3))
        self.mulnet = _MSCB(bands)
        self.mulnet2 = _MSCB(bands)
        self.mrab = _MRAB(bands)
        self.mrab2 = _MRAB(bands)
        init_variance_scaling(self, scale=0.8796**-2)
        self._wake(bands)

    @torch.no_grad()
    def _wake(self, bands: int) -> None:
        """Raise biases before ReLUs of few channels: one that starts below zero everywhere would stay so for ever."""
        grey = torch.tensor([0.05, 0.5]).view(2, 1, 1, 1)
        ms, pan = grey.expand(2, bands, 16, 16), grey.expand(2, 1, 64, 64)
        features, half_features = self.pan_branch.features(pan)
        wake(self.pan_branch.conv_output1, features)
        wake(self.pan_branch.conv_output1, half_features)
        details, half_details = self.pan_branch(pan)
        x = pixel_shuffle(self.conv_up(ms), 2)
        for gain, up, detail, refine in (
            (self.mrab, None, half_details, self.mulnet),
            (self.mrab2, self.conv_up2, details, self.mulnet2),
        ):
            x = x if up is None else pixel_shuffle(up(x), 2)
            y = torch.cat([x, detail], dim=1)
            wake(gain.pa[0], y)
            wake(gain.pa[2], gain.pa[:2](y))
            x = refine(torch.cat([gain(x, detail), detail], dim=1))

    def forward(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        details, half_details = self.pan_branch(guide)
        half = self.mrab(pixel_shuffle(self.conv_up(lr), 2), half_details)
        half = self.mulnet(torch.cat([half, half_details], dim=1))
        full = self.mrab2(pixel_shuffle(self.conv_up2(half), 2), details)
        return {"output": self.mulnet2(torch.cat([full, details], dim=1)), "half": half}
