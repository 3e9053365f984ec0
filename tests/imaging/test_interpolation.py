"""Interpolation against the toolbox's values, and on both pixel grids."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand, imresize, interp23
from fusionbench.imaging.borders import extend
from tests.imaging.references import SCENES, difference, load, on_grid


def wave(rows: Tensor, columns: Tensor, period: float = 16.0) -> Tensor:
    """A smooth image sampled at positions (rows, columns)."""
    turn = 2 * torch.pi / period
    return torch.sin(rows * turn)[:, None] + torch.cos(columns * turn + 1)[None, :]


@pytest.mark.parametrize("scene", SCENES)
def test_interp23_equals_the_toolbox(references: Path, scene: str) -> None:
    values = load(references / f"{scene}.npz")
    assert difference(on_grid(interp23(values["ms"], 4), values["grid"]), values["lms_grid"]) < 1e-9
    assert difference(interp23(values["ms"], 4), values["exp32"]) < 1e-3  # rounded to float32
    if "interp_x2" in values:
        assert difference(interp23(values["ms"], 2), values["interp_x2"]) < 1e-9


def test_interp23_of_an_odd_size(references: Path) -> None:
    values = load(references / "awkward.npz")
    assert difference(interp23(values["odd_ms"], 4)[:, ::3, ::3], values["odd_lms_stride3"]) < 1e-9


@pytest.mark.parametrize("scene", SCENES)
def test_bicubic_down_and_up_equals_the_toolbox(references: Path, scene: str) -> None:
    values = load(references / f"{scene}.npz")
    low = imresize(values["pan"], (32, 32))
    assert difference(low, values["wald_pan"]) < 1e-9
    assert difference(on_grid(imresize(low, (128, 128)), values["grid"]), values["pan_down_up_grid"]) < 1e-9


def test_bicubic_equals_torch_where_torch_is_matlab() -> None:
    x = torch.rand(1, 3, 24, 20, dtype=torch.float64)
    theirs = torch.nn.functional.interpolate(x, (9, 7), mode="bicubic", antialias=True, align_corners=False)
    ours = imresize(x, (9, 7))
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], theirs[..., 2:-2, 2:-2])  # other borders
    theirs = torch.nn.functional.interpolate(x, (31, 50), mode="bilinear", align_corners=False)
    torch.testing.assert_close(imresize(x, (31, 50), "bilinear"), theirs)


@pytest.mark.parametrize(("grid", "ratio"), [("dlpan", 2), ("dlpan", 4), ("area", 2), ("area", 4), ("area", 8)])
def test_expand_puts_samples_where_the_grid_says(grid: str, ratio: int) -> None:
    coarse = torch.arange(32, dtype=torch.float64)
    first = ratio / 2 if grid == "dlpan" else (ratio - 1) / 2
    fine = torch.arange(32 * ratio, dtype=torch.float64)
    expanded = expand(wave(coarse, coarse)[None], ratio, grid)
    truth = wave((fine - first) / ratio, (fine - first) / ratio)
    inner = slice(8 * ratio, -8 * ratio)
    assert difference(expanded[0, inner, inner], truth[inner, inner]) < 2e-3


@pytest.mark.parametrize("ratio", [3, 5, 6])
def test_expand_by_other_ratios_is_bicubic(ratio: int) -> None:
    x = torch.rand(2, 8, 8)
    torch.testing.assert_close(expand(x, ratio, "area"), imresize(x, (8 * ratio, 8 * ratio)))


def test_expand_mirrors_on_the_area_grid_and_wraps_on_the_other() -> None:
    ramp = torch.arange(16.0).expand(1, 16, 16)
    assert expand(ramp, 4, "area")[0, 32, :4].max() < 1.0
    assert expand(ramp, 4, "dlpan")[0, 32, 0] > 5.0


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_expand_keeps_constants_dtype_shape_and_bands_apart(grid: str) -> None:
    torch.testing.assert_close(expand(torch.full((2, 3, 5, 7), 3.0), 4, grid), torch.full((2, 3, 20, 28), 3.0))
    x = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    assert torch.equal(expand(x, 4, grid)[1, 2], expand(x[1, 2], 4, grid))
    assert expand(x.bfloat16(), 4, grid).dtype is torch.bfloat16


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_large_images_are_worked_on_in_pieces(grid: str) -> None:
    x = torch.rand(3, 256, 200)
    assert torch.equal(expand(x, 4, grid)[2], expand(x[2:], 4, grid)[0])


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_expand_has_gradients(grid: str) -> None:
    x = torch.rand(1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: expand(t, 2, grid), (x,))


def test_bad_grids_and_ratios() -> None:
    x = torch.zeros(1, 4, 4)
    with pytest.raises(ConfigError, match="area, dlpan"):
        expand(x, 4, "corner")
    with pytest.raises(ConfigError, match="no power of two"):
        expand(x, 3, "dlpan")
    with pytest.raises(ConfigError, match="no power of two"):
        interp23(x, 6)
    with pytest.raises(ValueError, match="bicubic or bilinear"):
        imresize(x, (2, 2), "lanczos")


@pytest.mark.parametrize(
    ("border", "expected"),
    [
        ("circular", [3, 1, 2, 3, 1, 2]),
        ("reflect", [2, 1, 2, 3, 2, 1]),
        ("replicate", [1, 1, 2, 3, 3, 3]),
        ("symmetric", [1, 1, 2, 3, 3, 2]),
    ],
)
def test_borders(border: str, expected: list[int]) -> None:
    assert extend(torch.tensor([1, 2, 3]), 1, 2, 0, border).tolist() == expected
    assert extend(torch.tensor([4]), 3, 3, 0, border).tolist() == [4] * 7
