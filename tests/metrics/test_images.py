"""What holds for every index: one value per image, invalid pixels without a say, dark scenes, one-band PAN."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fusionbench.metrics import functional as F
from fusionbench.metrics.functional.no_reference import block_quality

from .cases import scene

PAIRS: dict[str, Callable[..., Tensor]] = {
    "rmse": F.rmse,
    "psnr": lambda x, y, **k: F.psnr(x, y, data_range=2047, **k),
    "psnr_band": lambda x, y, **k: F.psnr(x, y, mode="band", peak="band_max", **k),
    "cc": F.cc,
    "dd": F.dd,
    "sam": F.sam,
    "ergas": lambda x, y, **k: F.ergas(x, y, ratio=4, **k),
    "uiqi": F.uiqi,
    "ssim": lambda x, y, **k: F.ssim(x, y, data_range=2047, **k),
    "scc": F.scc,
    "scc_laplacian": lambda x, y, **k: F.scc(x, y, variant="laplacian", **k),
    "q2n": F.q2n,
}
TRIPLES: dict[str, Callable[..., Tensor]] = {
    "d_lambda": lambda f, m, p, **k: F.d_lambda(f, m, **k),
    "d_s": F.d_s,
    "d_s_paper": lambda f, m, p, **k: F.d_s(f, m, p, paper=True, **k),
    "qnr": F.qnr,
    "d_lambda_k": lambda f, m, p, **k: F.d_lambda_k(f, m, gains=0.3, **k),
    "hqnr": lambda f, m, p, **k: F.hqnr(f, m, p, gains=0.3, **k),
    "fcc": lambda f, m, p, **k: F.fcc(f, p, **k),
    "rqnr_unvalidated": lambda f, m, p, **k: F.rqnr_unvalidated(f, m, p, gains=0.3, **k),
    "d_rho_unvalidated": lambda f, m, p, **k: F.d_rho_unvalidated(f, p, **k),
}


def triple(n: int = 1, size: int = 64, bands: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Fused image, MS and one-band PAN."""
    sharp, fused = scene(5, n, bands, size)
    return fused, sharp.unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2)), sharp.mean(1, keepdim=True).round()


@pytest.mark.parametrize("name", PAIRS)
def test_batch_of_eight_is_eight_images(name: str) -> None:
    x, y = scene(n=8, bands=5, size=48)
    y = x + (y - x) * torch.arange(1, 9)[:, None, None, None] / 4
    together = PAIRS[name](x, y)
    assert together.shape == (8,)
    assert together.dtype == torch.float64
    assert together.unique().numel() == 8
    singles = torch.cat([PAIRS[name](x[k : k + 1], y[k : k + 1]) for k in range(8)])
    assert together.equal(singles)


@pytest.mark.parametrize("name", TRIPLES)
def test_batch_of_fused_images_is_its_images(name: str) -> None:
    images = triple(n=4)
    together = TRIPLES[name](*images)
    assert together.shape == (4,)
    assert together.dtype == torch.float64
    assert together.equal(torch.cat([TRIPLES[name](*(z[k : k + 1] for z in images)) for k in range(4)]))


@pytest.mark.parametrize("name", PAIRS)
def test_empty_batch_gives_no_value(name: str) -> None:
    x = torch.zeros(0, 3, 40, 40)
    assert PAIRS[name](x, x).shape == (0,)


@pytest.mark.parametrize("name", PAIRS)
def test_invalid_pixels_have_no_say(name: str) -> None:
    x, y = scene(n=2, size=96)
    valid = torch.ones(2, 1, 96, 96, dtype=torch.bool)
    valid[0, 0, 70:75, 40:90] = False
    expected = PAIRS[name](x, y, valid=valid)
    assert not expected.isnan().any()
    assert expected[0] != PAIRS[name](x, y)[0]
    assert expected[1] == PAIRS[name](x, y)[1]
    for spoilt in (torch.nan, torch.inf, -1e9):
        a, b = (torch.where(valid, z, spoilt) for z in (x, y))
        assert PAIRS[name](a, b, valid=valid).equal(expected)


@pytest.mark.parametrize("name", TRIPLES)
def test_invalid_pixels_have_no_say_at_full_resolution(name: str) -> None:
    fused, ms, pan = triple(size=256)
    valid = torch.ones(1, 1, 256, 256, dtype=torch.bool)
    valid[..., 200:210, 30:250] = False
    expected = TRIPLES[name](fused, ms, pan, valid=valid)
    assert not expected.isnan().any()
    spoilt_ms = ms.clone()
    spoilt_ms[..., 50:52, 8:62] = torch.nan
    images = (torch.where(valid, fused, torch.nan), spoilt_ms, torch.where(valid, pan, torch.nan))
    assert TRIPLES[name](*images, valid=valid).equal(expected)


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_valid_has_no_value(name: str) -> None:
    x, y = scene()
    assert PAIRS[name](x, y, valid=torch.zeros_like(x[:, :1], dtype=torch.bool)).isnan().all()


@pytest.mark.parametrize("name", TRIPLES)
def test_nothing_valid_has_no_value_at_full_resolution(name: str) -> None:
    fused, ms, pan = triple()
    assert TRIPLES[name](fused, ms, pan, valid=torch.zeros_like(pan, dtype=torch.bool)).isnan().all()


@pytest.mark.parametrize("name", ["rmse", "psnr", "cc", "dd", "sam", "ergas", "uiqi", "ssim", "q2n", "scc_laplacian"])
def test_masking_a_side_is_cutting_it_off(name: str) -> None:
    x, y = scene(size=96)
    valid = torch.ones(1, 1, 96, 96, dtype=torch.bool)
    valid[..., 64:] = False
    cut = PAIRS[name](x[..., :64], y[..., :64])
    assert PAIRS[name](x, y, valid=valid).item() == pytest.approx(cut.item(), rel=1e-12)


def test_blocks_near_invalid_pixels_are_left_out() -> None:
    fused, ms, pan = triple(size=256)
    valid = torch.ones_like(pan, dtype=torch.bool)
    valid[..., 150:] = False
    exp = fused + 3 * pan
    usable = F.usable_pixels(valid, 4)
    assert usable[0, 0, 0].sum() == 150 - 47
    ours = F.d_s(fused, ms, pan, exp=exp, valid=valid)
    left = block_quality(fused[0, ..., :96].double(), pan[0, ..., :96].double(), 32, None)
    assert block_quality(fused[0].double(), pan[0].double(), 32, usable[0, 0]).equal(left)
    assert not ours.isnan().any()


def test_share_used() -> None:
    valid = torch.ones(2, 1, 64, 96, dtype=torch.bool)
    valid[1, 0, 0, 0] = False
    valid[1, 0, 40, 40] = False
    assert F.share_used(valid, 32, stride=32).tolist() == [1, 4 / 6]
    # the corner spoils 1 window of 33 x 65, the other pixel those whose rows start at 9..32 and columns at 9..40
    assert F.share_used(valid, 32)[1].item() == pytest.approx(1 - (1 + 24 * 32) / (33 * 65))
    assert F.share_used(valid, 32, border=16)[1].item() == pytest.approx(1 - 25 / 33)


def test_pixel_of_zeros_has_no_angle() -> None:
    x, y = scene(size=8)
    expected = F.sam(x, y)
    x[..., 2, 3] = 0
    ours = F.sam(x, y).item()
    assert ours == pytest.approx(F.sam(x, y, valid=(x != 0).any(1, keepdim=True)).item(), rel=1e-12)
    assert ours == pytest.approx(expected.item(), rel=0.2)
    assert F.sam(torch.zeros_like(x), y).isnan().all()


@pytest.mark.parametrize("name", ["uiqi", "cc", "scc", "scc_laplacian", "sam", "ergas"])
def test_dark_smooth_scene_in_float32(name: str) -> None:
    rng = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 4, 9, 9, generator=rng), size=(64, 64), mode="bicubic")
    x, y = 0.05 + 0.002 * (smooth - 0.5).float(), 0.05 + 0.002 * (smooth - 0.5 + 0.03 * torch.rand(smooth.shape))
    digital = [2047 * z.double() for z in (x, y)]
    assert PAIRS[name](x, y).tolist() == pytest.approx(PAIRS[name](*digital).tolist(), rel=1e-9)
    assert F.uiqi(x, y).min() > 0.9


def test_constant_band_has_no_correlation() -> None:
    x, y = scene(n=2)
    x[0, 1] = 0.1
    assert F.cc(x, y).isnan().tolist() == [True, False]
    assert F.scc(x, y, variant="laplacian").isnan().tolist() == [True, False]
    assert F.scc(torch.full_like(x, 0.1), y)[0] != F.scc(x, y)[0]


def test_reference_with_mean_zero_has_no_ergas() -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(32)[None, None, None].expand(1, 2, 64, 64)
    assert F.ergas(signs, signs + 1, ratio=4).isnan().all()
    dark, y = scene()
    dark[:, 2] *= 1e-4
    assert F.ergas_bands(dark).tolist() == [3]
    kept = [0, 1, 3]
    assert F.ergas(dark, y, ratio=4).equal(F.ergas(dark[:, kept], y[:, kept], ratio=4))


def test_data_range_and_ratio_per_image() -> None:
    x, y = scene(n=2)
    top = torch.tensor([2047, 255])
    for index in (F.psnr, F.ssim):
        both = index(x, y, data_range=top)
        assert both[1] == index(x[1:], y[1:], data_range=255)[0]
        assert both[0] == index(x[:1], y[:1], data_range=2047)[0]
    assert F.ergas(x, y, ratio=torch.tensor([4, 2]))[1] == F.ergas(x[1:], y[1:], ratio=2)[0]


def test_grid_decides_where_exp_lies() -> None:
    fused, ms, pan = triple()
    assert F.d_s(fused, ms, pan, grid="area") != F.d_s(fused, ms, pan, grid="dlpan")


def test_arguments_are_left_alone() -> None:
    x, y = (z.double() for z in scene())
    copies = x.clone(), y.clone()
    for index in PAIRS.values():
        index(x, y)
    assert (x.equal(copies[0]), y.equal(copies[1])) == (True, True)
