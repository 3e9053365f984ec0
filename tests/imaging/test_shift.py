"""Sub-pixel shifts, and their estimate."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
import torch
from torch import Tensor

from fusionbench.imaging import degrade_ms, estimate_shift, mtf_filter
from fusionbench.imaging.shift import shift


def scene(size: int = 192) -> Tensor:
    """Bands of one texture and its own detail each; [3, size, size] float64."""
    generator = torch.Generator().manual_seed(0)
    common, own = torch.rand(1, size, size, generator=generator), torch.rand(3, size, size, generator=generator)
    return mtf_filter(common.double(), 0.3, 2) + 4 * mtf_filter(own.double(), 0.3, 6)


def test_whole_shifts_move_pixels() -> None:
    x = torch.rand(2, 12, 15, dtype=torch.float64)
    torch.testing.assert_close(shift(x, 2, -3)[:, 2:, :-3], x[:, :-2, 3:])
    torch.testing.assert_close(shift(x, 0, 0), x)
    torch.testing.assert_close(shift(x, 1, 0)[:, 0], x[:, 0])  # symmetric border


def test_a_wave_moves_by_parts_of_a_pixel() -> None:
    position = torch.arange(80, dtype=torch.float64)
    image = torch.sin(position / 2)[:, None] + torch.cos(position / 3)[None, :]
    moved = torch.sin((position - 0.3) / 2)[:, None] + torch.cos((position + 1.6) / 3)[None, :]
    torch.testing.assert_close(shift(image, 0.3, -1.6)[14:-14, 14:-14], moved[14:-14, 14:-14], rtol=0, atol=3e-4)


def test_constants_stay_and_gradients_flow() -> None:
    torch.testing.assert_close(shift(torch.full((1, 9, 9), 5.0), 0.37, 0.81), torch.full((1, 9, 9), 5.0))
    x = torch.rand(1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: shift(t, 0.4, -1.2), (x,))


@pytest.mark.parametrize("move", [(0.0, 0.0), (0.4, -1.7), (2.2, 1.3), (-2.9, 0.0)])
@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_the_estimate_brings_pan_back(grid: str, move: tuple[float, float]) -> None:
    bands = scene()
    lr, pan = degrade_ms(bands, 0.3, 4, grid), shift(bands.mean(0, keepdim=True), *move)
    estimate = estimate_shift(lr, pan, 4, grid)
    assert (estimate.dy, estimate.dx) == (pytest.approx(-move[0], abs=0.03), pytest.approx(-move[1], abs=0.03))
    assert estimate.r2_after > 0.98
    assert estimate.r2_before <= estimate.r2_after
    if max(map(abs, move)) > 1:
        assert estimate.r2_before < 0.9


def test_the_estimate_does_not_depend_on_units() -> None:
    bands = scene(96)
    lr, pan = degrade_ms(bands, 0.3, 4, "area"), shift(bands.mean(0, keepdim=True), 0.5, 1.0)
    first, second = estimate_shift(lr, pan, 4, "area"), estimate_shift(lr * 300 + 20, pan * 500, 4, "area")
    assert (first.dy, first.dx, first.r2_after) == pytest.approx((second.dy, second.dx, second.r2_after), abs=1e-6)


def test_constant_images_have_no_shift() -> None:
    for lr, pan in ((torch.ones(2, 8, 8), torch.rand(1, 32, 32)), (torch.rand(2, 8, 8), torch.ones(1, 32, 32))):
        estimate = estimate_shift(lr, pan, 4, "dlpan")
        assert (estimate.dy, estimate.dx, estimate.r2_before, estimate.r2_after) == (0, 0, 0, 0)


def test_the_known_shift_of_a_real_tile(shared: Path) -> None:
    """QuickBird tiles lie 1.5 to 2 px off in rows (README of the data); the two grids are half a pixel apart."""
    folder = shared / "data" / "pansharpening" / "quickbird"
    pan_file = min((folder / "pan").glob("*-pan.tif"))
    ms_file = folder / "ms" / pan_file.name.replace("-pan", "-mul")
    with rasterio.open(pan_file) as pan, rasterio.open(ms_file) as ms:
        lr, guide = torch.from_numpy(ms.read().astype("f8")), torch.from_numpy(pan.read().astype("f8"))
    lr, guide = lr[:, :128, :128], guide[:, :512, :512]
    area, dlpan = estimate_shift(lr, guide, 4, "area"), estimate_shift(lr, guide, 4, "dlpan")
    assert 1.0 < area.dy < 2.0
    assert dlpan.r2_after > 0.98 > dlpan.r2_before
    assert dlpan.dy - area.dy == pytest.approx(0.5, abs=0.02)
    assert dlpan.dx - area.dx == pytest.approx(0.5, abs=0.02)
