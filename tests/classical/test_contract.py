"""What every classical method keeps: shapes, images apart, units, both grids, awkward input, gain over EXP."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.imaging import degrade_ms, degrade_pan, mtf_filter
from tests.classical.cards import CONFIGS, build_method, classical_methods
from tests.imaging.references import load

METHODS = classical_methods()
GAINS, PAN_GAIN = [0.34, 0.32, 0.30, 0.22], 0.15


def scene(size: int = 256, seed: int = 0) -> Tensor:
    """Four correlated bands of texture at several scales; [1, 4, size, size] float64, about .2 to .8."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.full((1, 4, size, size), 0.5, dtype=torch.float64)
    for ratio, weight in ((2, 0.3), (6, 0.6), (16, 1.0)):
        common, own = (torch.rand(1, n, size, size, generator=generator).double() - 0.5 for n in (1, 4))
        image += weight * mtf_filter(common + 0.3 * own, 0.3, ratio)
    return image


def pair(ratio: int = 4, grid: str = "dlpan", size: int = 32, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """lr, guide and reference of a scene, degraded as the protocol does."""
    fine = scene(ratio * size, seed)
    return degrade_ms(fine, GAINS, ratio, grid), fine.mean(1, keepdim=True), fine


def test_methods_are_found() -> None:
    assert {"exp", "brovey", "ihs", "gs", "gsa", "bt_h", "mtf_glp", "mtf_glp_hpm", "mtf_glp_fs", "bdsd", "pracs"} <= {
        *METHODS
    }
    modules = {p.stem for p in (CONFIGS.parents[1] / "fusionbench/classical/pansharpening").glob("*.py")}
    assert {*METHODS} <= modules


@pytest.mark.parametrize("method", METHODS)
def test_each_image_by_its_own_statistics(method: str) -> None:
    module = build_method(method, GAINS, PAN_GAIN)
    lr, guide = (torch.cat(parts).float() for parts in list(zip(pair(seed=0), pair(seed=1), strict=True))[:2])
    together = module(lr, guide)
    assert together.shape == (2, 4, 128, 128)
    assert together.dtype is torch.float32
    torch.testing.assert_close(together[1:], module(lr[1:], guide[1:]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("grid", "ratio"), [("dlpan", 2), ("dlpan", 4), ("area", 3), ("area", 4), ("area", 6)])
def test_every_grid_and_ratio(method: str, grid: str, ratio: int) -> None:
    if ratio in (3, 6) and method == "mf":
        pytest.skip("its pyramid halves")
    lr, guide, fine = pair(ratio, grid, 24)
    fused = build_method(method, GAINS, PAN_GAIN, ratio=ratio, grid=grid)(lr, guide)
    assert fused.shape == fine.shape
    exp = build_method("exp", GAINS, PAN_GAIN, ratio=ratio, grid=grid)(lr, guide)
    inner = slice(5 * ratio, -5 * ratio)
    error, floor = (float((x - fine)[..., inner, inner].square().mean().sqrt()) for x in (fused, exp))
    assert error <= floor


# TV's strength refers to digital numbers, VO+Net confines its result to [0, 1]
@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("tv", "vo_net")])
def test_a_common_factor_is_kept(method: str) -> None:
    lr, guide, _ = pair()
    module = build_method(method, GAINS, PAN_GAIN)
    torch.testing.assert_close(module(lr * 2047, guide * 2047) / 2047, module(lr, guide), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid", ["dlpan", "area"])
def test_constant_images_give_constant_images(method: str, grid: str) -> None:
    module = build_method(method, GAINS, PAN_GAIN, grid=grid)
    lr, guide, _ = (x.float() for x in pair(grid=grid, size=16))
    level = torch.tensor([0.2, 0.3, 0.4, 0.5]).view(1, 4, 1, 1)
    zeros = module(torch.zeros_like(lr), torch.zeros_like(guide))
    assert torch.equal(zeros, torch.zeros_like(zeros))
    flat = module(torch.zeros_like(lr) + level, torch.zeros_like(guide) + 0.3)
    torch.testing.assert_close(flat, (level + torch.zeros_like(flat)), rtol=5e-3, atol=1e-6)
    flat_pan, flat_ms = module(lr, torch.zeros_like(guide) + 0.3), module(torch.zeros_like(lr) + level, guide)
    dead_band = module(lr * (level != 0.3), guide)
    twins = module(lr[:, :1].expand(-1, 4, -1, -1), guide)
    for fused in (flat_pan, flat_ms, dead_band, twins):
        assert fused.isfinite().all()
        assert fused.abs().max() < 1000  # ratios to a nearly empty low pass may be large, never infinite


@pytest.mark.parametrize("method", METHODS)
def test_a_guide_that_does_not_fit_is_refused(method: str) -> None:
    module = build_method(method, GAINS, PAN_GAIN)
    with pytest.raises(DataError, match="32 x 32 px"):
        module(torch.rand(1, 4, 8, 8), torch.rand(1, 1, 31, 32))
    with pytest.raises(DataError, match="guide of 1 band"):
        module(torch.rand(1, 4, 8, 8), torch.rand(1, 2, 32, 32))


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="3 gains for 4 bands"):
        build_method("mtf_glp", [0.3] * 3, 0.15)(torch.rand(1, 4, 8, 8), torch.rand(1, 1, 32, 32))
    with pytest.raises(ConfigError, match="no power of two"):
        build_method("gsa", GAINS, PAN_GAIN, ratio=3)
    with pytest.raises(ConfigError, match="multiple of the ratio"):
        build_method("bdsd", GAINS, PAN_GAIN, block=6)
    with pytest.raises(ConfigError, match="does not divide"):
        build_method("bdsd", GAINS, PAN_GAIN, block=24)(torch.rand(1, 4, 8, 8), torch.rand(1, 1, 32, 32))


def test_only_exp_can_be_tiled() -> None:
    assert [name for name in METHODS if build_method(name, GAINS, PAN_GAIN).tileable] == ["exp"]


# NIR of this scene follows PAN little (r = .27): what gives every band PAN's contrast has a larger ERGAS than EXP,
# in the toolbox too (classical_GE1.json)
LOSERS = {"atwt", "awlp", "hpf", "mf", "mtf_glp", "mtf_glp_hpm", "pca", "sfim"}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "exp"])
def test_better_than_exp_on_a_real_scene(shared: Path, method: str) -> None:
    values = load(shared / "references" / "geoeye1" / "rr_GE1.npz")
    ms, pan = values["reference"] / 255, values["pan"] / 255
    for grid in ("dlpan", "area"):
        lr = degrade_ms(ms, [0.23] * 4, 4, grid)
        ergas = {}
        for name in ("exp", method):
            fused = build_method(name, [0.23] * 4, 0.16, grid=grid)(lr[None], pan[None])[0]
            square = (fused - ms)[:, 20:-21, 20:-21].square().mean((1, 2)) / ms.mean((1, 2)).square()
            ergas[name] = 25 * math.sqrt(float(square.mean()))
        assert (ergas[method] > ergas["exp"]) == (method in LOSERS), (grid, ergas)


def test_degraded_pan_and_ms_stay_together() -> None:
    """Fusing a doubly degraded pair improves on EXP on both grids: no half pixel is lost between the two operators."""
    fine = scene(512)
    for grid in ("area", "dlpan"):
        ms, pan = degrade_ms(fine, GAINS, 4, grid), fine.mean(1, keepdim=True)
        lr, guide = degrade_ms(ms, GAINS, 4, grid), degrade_pan(pan, 4)
        errors = [
            float((build_method(name, GAINS, PAN_GAIN, grid=grid)(lr, guide) - ms)[..., 20:-21, 20:-21].std())
            for name in ("mtf_glp_fs", "exp")
        ]
        assert errors[0] < 0.6 * errors[1], grid
