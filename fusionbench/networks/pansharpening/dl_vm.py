"""DL-VM (Shen et al., IEEE TGRS 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from fusionbench.imaging import expand
from fusionbench.imaging.differences import difference, difference_adjoint, gradients, laplacian

Operator = Callable[[Tensor], Tensor]


class DLVM(nn.Module):
    """DL-VM: a residual network predicts the result's gradients, a variational model makes the image that has them.

    The image minimises ||P x - lr||^2 + smooth (||Dx x - V||^2 + ||Dy x - V'||^2) + rough ||L x||^2 per band, P the
    mean over an MS pixel, V and V' the predicted differences, L the Laplacian; solved by conjugate gradients.

    Shapes: lr [N,B,h,w], guide [N,1,H,W] with H = ratio h -> ``output`` [N,B,H,W] and ``gradients`` [N,2(B+1),H,W] in
    the order of ``imaging.differences.gradients``; values scaled to [0, 1], not clipped.

    Args:
        smooth, rough: weights of the gradients and of the Laplacian.
        iterations, tolerance: of the solver, which works in float64 from zero.

    Source: Shen, Jiang, Li, Yuan, Wei, Zhang, Spatial-Spectral Fusion by Combining Deep Learning and Variational
    Model, IEEE TGRS 57(8), 2019; the network is the DnCNN template that its code was built on.
    """

    def __init__(
        self,
        bands: int,
        ratio: int = 4,
        grid: str = "dlpan",
        depth: int = 17,
        width: int = 64,
        smooth: float = 0.1,
        rough: float = 1e-4,
        iterations: int = 50,
        tolerance: float = 1e-6,
    ) -> None:
        super().__init__()
        self.ratio, self.grid, self.smooth, self.rough = ratio, grid, smooth, rough
        self.iterations, self.tolerance = iterations, tolerance
        # px of the guide: the network, EXP, and where the solver's exponentially fading influence is below 1e-6
        self.radius = depth + 16 * ratio
        channels = 2 * (bands + 1)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))
        std = math.sqrt(2 / (9 * width))
        for layer in self.network:
            if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
                nn.init.normal_(layer.weight, std=std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, lr: Tensor, guide: Tensor) -> dict[str, Tensor]:
        stack = gradients(expand(lr, self.ratio, self.grid), guide)
        wanted = stack + self.network(stack)
        with torch.autocast(lr.device.type, enabled=False):
            fused = self._fuse(lr.double(), wanted.double()).to(lr.dtype)
        return {"output": fused, "gradients": wanted}

    def _fuse(self, lr: Tensor, wanted: Tensor) -> Tensor:
        bands = lr.shape[1]
        mean = _PixelMean(self.ratio, self.grid, lr)
        across, down = wanted[:, :bands], wanted[:, bands + 1 : 2 * bands + 1]
        right = mean.adjoint(lr)
        right = right + self.smooth * (difference_adjoint(across, -1) + difference_adjoint(down, -2))

        def normal(x: Tensor) -> Tensor:
            flat = difference_adjoint(difference(x, -1), -1) + difference_adjoint(difference(x, -2), -2)
            return mean.adjoint(mean(x)) + self.smooth * flat + self.rough * laplacian(laplacian(x))

        def solve(b: Tensor) -> Tensor:
            return conjugate_gradients(normal, b, self.iterations, self.tolerance)

        return _Solution.apply(right, solve) if right.requires_grad else solve(right)


class _PixelMean:
    """Mean over the PAN pixels of an MS pixel, with its adjoint: [N,B,H,W] <-> [N,B,h,w].

    On the dlpan grid MS pixels are centred on a PAN pixel: the outermost of the ratio + 1 taps count half, and the
    last row and column, which has one tap less, is divided by what is there.
    """

    def __init__(self, ratio: int, grid: str, lr: Tensor) -> None:
        self.ratio, self.extra = ratio, 1 if grid == "dlpan" else 0
        taps = lr.new_ones(ratio + self.extra)
        if self.extra:
            taps[0] = taps[-1] = 0.5
        self.kernel = (taps[:, None] * taps).expand(1, 1, -1, -1)
        whole = lr.new_ones(1, 1, lr.shape[-2] * ratio, lr.shape[-1] * ratio)
        self.weight = self._sum(whole)

    def _sum(self, x: Tensor) -> Tensor:
        padded = pad(x, (0, self.extra, 0, self.extra)).flatten(0, 1)[:, None]
        return conv2d(padded, self.kernel, stride=self.ratio).unflatten(0, x.shape[:2])[:, :, 0]

    def __call__(self, x: Tensor) -> Tensor:
        return self._sum(x) / self.weight

    def adjoint(self, y: Tensor) -> Tensor:
        spread = conv_transpose2d((y / self.weight).flatten(0, 1)[:, None], self.kernel, stride=self.ratio)
        rows, columns = y.shape[-2] * self.ratio, y.shape[-1] * self.ratio
        return spread.unflatten(0, y.shape[:2])[:, :, 0, :rows, :columns]


class _Solution(torch.autograd.Function):
    """Solution of a symmetric linear system: its derivative is another solution of the same system."""

    @staticmethod
    def forward(ctx: Any, right: Tensor, solve: Operator) -> Tensor:
        ctx.solve = solve
        return solve(right)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.solve(gradient), None


def conjugate_gradients(operator: Operator, right: Tensor, iterations: int, tolerance: float) -> Tensor:
    """Solve ``operator(x) = right`` for every image plane [..., H, W] by itself, starting from 0.

    A plane rests once its residual is below ``tolerance`` times its right side (2-norms). ``operator`` is symmetric
    and positive definite.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=(-2, -1), keepdim=True)

    x, residual, direction = torch.zeros_like(right), right, right
    power = dot(residual, residual)
    enough = tolerance**2 * power
    tiny = torch.finfo(right.dtype).tiny
    for _ in range(iterations):
        active = power > enough
        image = operator(direction)
        step = torch.where(active, power / dot(direction, image).clamp_min(tiny), 0.0)
        x = x + step * direction
        residual = residual - step * image
        after = dot(residual, residual)
        direction = torch.where(active, residual + after / power.clamp_min(tiny) * direction, direction)
        power = torch.where(active, after, power)
    return x
