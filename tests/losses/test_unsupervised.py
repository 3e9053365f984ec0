"""Terms without reference, and MDSSC-GAN's, against NumPy, SciPy and cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from fusionbench.errors import ConfigError
from fusionbench.imaging import decimate, degrade_ms, expand, gaussian_low_pass
from fusionbench.losses import QNR, Compare, Degraded, GradientAlignment, HighPass, LossSet, LowPass, ShiftedSAM

GRIDS = ["area", "dlpan"]


@pytest.fixture
def images() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "output": torch.rand(2, 3, 32, 32, generator=generator, dtype=torch.float64),
        "lr": torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64),
        "guide": torch.rand(2, 1, 32, 32, generator=generator, dtype=torch.float64),
    }


def index(x: np.ndarray, y: np.ndarray) -> float:
    """Wang and Bovik's index of two whole images, by its three factors."""
    covariance = np.cov(x.ravel(), y.ravel(), bias=True)
    sx, sy = math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])
    mx, my = x.mean(), y.mean()
    return covariance[0, 1] / (sx * sy) * 2 * mx * my / (mx**2 + my**2) * 2 * sx * sy / (sx**2 + sy**2)


@pytest.mark.parametrize("grid", GRIDS)
def test_qnr_by_its_factors(grid: str, images: dict[str, torch.Tensor]) -> None:
    low = decimate(gaussian_low_pass(images["guide"], 4), 4, grid).numpy()
    fused, ms, pan = (images[name].numpy() for name in ("output", "lr", "guide"))
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]

    def mean_index(a: np.ndarray, i: int, b: np.ndarray, j: int) -> float:
        return float(np.mean([index(a[n, i], b[n, j]) for n in range(2)]))

    d_lambda = np.mean([abs(mean_index(fused, i, fused, j) - mean_index(ms, i, ms, j)) for i, j in pairs])
    d_s = np.mean([abs(mean_index(fused, i, pan, 0) - mean_index(ms, i, low, 0)) for i in range(3)])
    found = QNR(4, grid, eps=0.0)(images, images, None)
    assert found.item() == pytest.approx(1 - (1 - d_lambda) * (1 - d_s), rel=1e-9)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("intensity", ["mean", "max"])
@pytest.mark.parametrize("kernel", ["box", "laplace"])
def test_high_pass_equals_scipy(kernel: str, intensity: str, norm: str, images: dict[str, torch.Tensor]) -> None:
    def high(x: np.ndarray) -> np.ndarray:
        if kernel == "box":
            return x - ndimage.uniform_filter(x, 5, mode="constant")
        return ndimage.convolve(x, np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]], float), mode="constant")

    fused, pan = images["output"].numpy(), images["guide"].numpy()[:, 0]
    flat = fused.mean(1) if intensity == "mean" else fused.max(1)
    detail = np.stack([high(flat[n]) - high(pan[n]) for n in range(2)])
    wanted = np.abs(detail).mean() if norm == "l1" else (detail**2).mean()
    found = HighPass(intensity, kernel, norm)(images, images, None)
    assert found.item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
def test_low_pass_equals_scipy(grid: str, images: dict[str, torch.Tensor]) -> None:
    difference = images["output"].numpy() - expand(images["lr"], 4, grid).numpy()
    wanted = np.abs(ndimage.uniform_filter(difference, (0, 0, 5, 5), mode="constant")).mean()
    assert LowPass(4, grid)(images, images, None).item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
def test_degraded_is_zero_where_the_sensor_would_see_ms(grid: str, images: dict[str, torch.Tensor]) -> None:
    gains = [0.3, 0.32, 0.28]
    seen = degrade_ms(images["output"], gains, 4, grid)
    term = Degraded(gains, 4, grid)
    assert term(images, {"lr": seen}, None).item() == 0
    assert term(images, {"lr": seen + 0.25}, None).item() == pytest.approx(0.25)
    assert Degraded(gains, 4, grid, "l2")(images, {"lr": seen + 0.5}, None).item() == pytest.approx(0.25)


def test_a_coarse_pixel_counts_where_all_beneath_it_do() -> None:
    first, second = torch.zeros(1, 2, 2, 2), torch.tensor([[1.0, 2.0], [4.0, 8.0]]).expand(1, 2, 2, 2)
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    mask[..., 0, 7] = False  # beneath the second pixel
    found = Compare("low", "lr")({"low": first}, {"lr": second}, mask)
    assert found.item() == pytest.approx((1 + 4 + 8) / 3)
    assert Compare("low", "lr", "l2")({"low": first}, {"lr": second}, None).item() == pytest.approx(85 / 4)


def test_gradients_that_point_the_same_way_cost_nothing() -> None:
    target = torch.rand(1, 2, 6, 6)
    term = GradientAlignment()
    assert term({"output": 3 * target + 1}, {"target": target}, None).item() == pytest.approx(0, abs=1e-6)
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    # gradients (2, 0) and (0, 5) px: cross product 10
    found = term({"output": 2 * rows[None, None]}, {"target": 5 * columns[None, None]}, None)
    assert found.item() == pytest.approx(10)


def test_shifted_angle_by_hand() -> None:
    output, target = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.tensor([8.0, 6.0]).view(1, 2, 1, 1)
    found = ShiftedSAM()({"output": output}, {"target": target}, None)
    assert found.item() == pytest.approx(math.acos(48 / (6 * 11)) / math.pi, rel=1e-5)
    equal = (255 * torch.ones(1, 3, 2, 2)).requires_grad_()
    ShiftedSAM()({"output": equal}, {"target": equal.detach()}, None).backward()
    assert equal.grad is not None
    assert equal.grad.isfinite().all()


TERMS = {
    "qnr": QNR(4, "area"),
    "high": HighPass("max", "box"),
    "low": LowPass(4, "area"),
    "degraded": Degraded([0.3] * 3, 4, "area"),
}


@pytest.mark.parametrize("name", TERMS)
def test_they_read_the_inputs_alone_and_have_the_right_slope(name: str, images: dict[str, torch.Tensor]) -> None:
    assert not LossSet({name: TERMS[name]}).supervised
    output = images["output"].clone().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    move = torch.randn(output.shape, generator=generator, dtype=torch.float64)

    def value(at: torch.Tensor) -> torch.Tensor:
        return TERMS[name]({"output": at}, images, None)

    (slope,) = torch.autograd.grad(value(output), output)
    step = 1e-7
    measured = (value(images["output"] + step * move) - value(images["output"] - step * move)) / (2 * step)
    assert (slope * move).sum().item() == pytest.approx(measured.item(), rel=1e-4, abs=1e-6)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(ConfigError, match="l1, l2"):
        Compare("a", "b", "l3")
    with pytest.raises(ConfigError, match="mean, max"):
        HighPass("median")
    with pytest.raises(ConfigError, match="box, laplace"):
        HighPass(kernel="sobel")
