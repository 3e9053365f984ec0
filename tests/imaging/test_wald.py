"""Wald's degradation: the toolbox's values, and consistency with EXP."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.imaging import decimate, degrade_ms, degrade_pan, expand, imresize, mtf_filter
from tests.imaging.references import SCENES, difference, load


def smooth(bands: int, size: int, seed: int = 0) -> torch.Tensor:
    """A random image of low frequencies; [bands, size, size] float64."""
    noise = torch.rand(bands, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mtf_filter(noise, 0.3, 16)


@pytest.mark.parametrize("scene", SCENES)
def test_degradation_equals_the_toolbox(references: Path, scene: str) -> None:
    values, (gains, _) = load(references / f"{scene}.npz"), SCENES[scene]
    assert difference(degrade_ms(values["reference"], gains, 4, "dlpan"), values["wald_ms"]) < 1e-9
    assert difference(degrade_pan(values["pan"], 4), values["wald_pan"]) < 1e-9


def test_degradation_of_a_real_scene(shared: Path) -> None:
    values = load(shared / "references" / "geoeye1" / "rr_GE1.npz")
    degraded = degrade_ms(values["reference"], [0.23] * 4, 4, "dlpan")
    assert difference(degraded, values["ms"]) < 1e-9
    assert difference(expand(degraded, 4, "dlpan"), values["exp"]) < 1e-9


@pytest.mark.parametrize(("grid", "ratio"), [("dlpan", 2), ("dlpan", 4), ("area", 2), ("area", 4), ("area", 8)])
def test_decimation_undoes_expansion(grid: str, ratio: int) -> None:
    low = smooth(2, 48)
    back = decimate(expand(low, ratio, grid), ratio, grid)
    inner = slice(8, -8)
    tolerance = 1e-12 if grid == "dlpan" else 2e-3 * float(low.std())
    assert difference(back[:, inner, inner], low[:, inner, inner]) < tolerance


@pytest.mark.parametrize(("grid", "ratio"), [("dlpan", 4), ("area", 4), ("area", 3), ("area", 6), ("area", 5)])
def test_degraded_and_expanded_images_do_not_move(grid: str, ratio: int) -> None:
    position = torch.arange(40 * ratio, dtype=torch.float64)
    turn = 2 * torch.pi / (10 * ratio)  # four whole periods, two of them away from the borders
    image = (torch.cos(position * turn)[:, None] + torch.cos(position * turn)[None, :])[None]
    around = expand(degrade_ms(image, 0.3, ratio, grid), ratio, grid)
    inner = slice(10 * ratio, 30 * ratio)
    for axis in (1, 2):
        phase = torch.exp(1j * position * turn).reshape(1, -1, 1) if axis == 1 else torch.exp(1j * position * turn)
        moved = (around * phase)[0, inner, inner].sum().angle() / turn
        assert abs(float(moved)) < 0.01  # PAN px


def test_area_decimation_takes_block_centres() -> None:
    ramp = torch.arange(64.0, dtype=torch.float64).expand(1, 64, 64)
    centres = torch.arange(16, dtype=torch.float64) * 4 + 1.5
    assert difference(decimate(ramp, 4, "area")[0, 5, 2:-2], centres[2:-2]) < 1e-6
    assert difference(decimate(ramp, 4, "dlpan")[0, 5], centres + 0.5) == 0
    assert difference(decimate(ramp[..., :63, :63], 3, "area")[0, 5], torch.arange(21.0) * 3 + 1) == 0


def test_what_fills_no_block_is_left_out() -> None:
    x = torch.rand(2, 3, 23, 18)
    assert decimate(x, 4, "area").shape == degrade_ms(x, 0.3, 4, "area").shape == (2, 3, 5, 4)
    torch.testing.assert_close(degrade_pan(x, 4), imresize(x[..., :20, :16], (5, 4)))


def test_strips_with_a_halo_give_the_same() -> None:
    image = smooth(2, 192)
    whole = degrade_ms(image, 0.25, 4, "area")
    strip = degrade_ms(image[:, 64 - 32 : 128 + 32], 0.25, 4, "area")
    torch.testing.assert_close(strip[:, 8:24], whole[:, 16:32], rtol=0, atol=1e-12)


def test_operators() -> None:
    x = torch.rand(1, 16, 16)
    torch.testing.assert_close(degrade_ms(x, 0.3, 4, "area", "bicubic"), imresize(x, (4, 4)))
    with pytest.raises(ConfigError, match="choose mtf, or bicubic on grid area"):
        degrade_ms(x, 0.3, 4, "dlpan", "bicubic")
    with pytest.raises(ConfigError, match="area, dlpan"):
        decimate(x, 4, "nowhere")
