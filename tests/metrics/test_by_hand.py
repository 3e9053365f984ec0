"""Small cases worked by hand, and Q2n in its slow literal form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.metrics import functional as F
from fusionbench.metrics.functional.windows import weighted_sums, window_sums

from .cases import scene
from .literal import product, q2n

X = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[4.0, 4.0], [4.0, 8.0]]]])
Y = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[4.0, 4.0], [2.0, 8.0]]]])


def test_pixelwise_by_hand() -> None:
    assert F.rmse(X, Y).item() == 1.0
    assert F.rmse(X, Y, per_band=True).tolist() == [[1.0, 1.0]]
    assert F.psnr(X, Y, data_range=10).item() == pytest.approx(20)
    assert F.psnr(X, Y, mode="band", peak="band_max").item() == pytest.approx(10 * math.log10(4 * 8))
    assert F.dd(X, Y).item() == 0.5
    assert F.ergas(X, Y, ratio=4).item() == pytest.approx(25 * math.sqrt((1 / 2.5**2 + 1 / 5**2) / 2))
    angles = [0, 0, math.acos((9 + 8) / math.sqrt(25 * 13)), math.acos((24 + 64) / math.sqrt(80 * 100))]
    assert F.sam(X, Y, unit="radians").item() == pytest.approx(sum(angles) / 4)
    # deviations (-1.5 -.5 .5 1.5) and (-2 -1 0 3); (-1 -1 -1 3) and (-.5 -.5 -2.5 3.5)
    assert F.cc(X, Y).item() == pytest.approx((8 / math.sqrt(5 * 14) + 14 / math.sqrt(12 * 19)) / 2)


def test_uiqi_by_hand() -> None:
    first = 4 * 8 * 2.5 * 3 / ((5 + 14) * (2.5**2 + 3**2))
    second = 4 * 14 * 5 * 4.5 / ((12 + 19) * (5**2 + 4.5**2))
    assert F.uiqi(X, Y, block=2).item() == pytest.approx((first + second) / 2)


@pytest.mark.parametrize(("x", "y", "expected"), [(0.1, 0.1, 1), (0.1, 0.2, 0.8), (0, 0, 1), (3, 0, 0), (7, -7, -1)])
def test_uiqi_of_constant_windows(x: float, y: float, expected: float) -> None:
    images = (torch.full((1, 2, 37, 33), value, dtype=torch.float64) for value in (x, y))
    assert F.uiqi(*images).item() == pytest.approx(expected)


def test_uiqi_where_both_means_are_zero() -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(16)[None, None, None].expand(1, 1, 32, 32)
    assert F.uiqi(signs, -signs).item() == 1


def test_scc_by_hand() -> None:
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 1] = 1
    y = 3 * x
    y[0, 0, 0, 0] = 99  # on the rim, which is dropped
    assert F.scc(x, y).item() == pytest.approx(1)
    # what is left is 2 x 2: gradients of a single 1 are 0, 2, 2, sqrt 2 in its own pixel's place and around it
    z = torch.zeros(1, 1, 4, 4)
    z[0, 0, 1, 2] = 1
    assert F.scc(x, z).item() == pytest.approx((0 * 2 + 2 * 0 + 2 * math.sqrt(2) * 2) / (4 + 4 + 2))


def test_scc_laplacian_by_hand() -> None:
    x = torch.zeros(1, 1, 4, 3)
    x[0, 0, 1, 1] = 1
    y = torch.zeros(1, 1, 4, 3)
    y[0, 0, 2, 1] = 5
    assert F.scc(x, x, variant="laplacian").item() == pytest.approx(1)
    assert F.scc(x, y, variant="laplacian").item() == pytest.approx(-1)


def test_ssim_of_constants_compares_means() -> None:
    x, y = torch.full((1, 1, 11, 11), 100.0), torch.full((1, 1, 11, 11), 50.0)
    c1 = (0.01 * 255) ** 2
    assert F.ssim(x, y, data_range=255).item() == pytest.approx((2 * 5000 + c1) / (12500 + c1))


def test_ssim_thins_large_images() -> None:
    x, y = scene(3, bands=1, size=64)
    large = [z.repeat_interleave(8, -1).repeat_interleave(8, -2) for z in (x, y)]
    # factor 2: the windows of the mean lie within the repeated pixels
    half = [z[..., ::2, ::2] for z in large]
    thinned = F.ssim(*large, data_range=2047, auto_downsample=True)
    assert thinned.item() == pytest.approx(F.ssim(*half, data_range=2047).item(), rel=1e-12)
    assert F.ssim(x, y, data_range=2047, auto_downsample=True).equal(F.ssim(x, y, data_range=2047))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 11, 32])
def test_window_sums_are_exact_sums(size: int) -> None:
    x = torch.randint(0, 65536, (2, 40, 37)).to(torch.float64) ** 2
    brute = x.unfold(1, size, 1).unfold(2, size, 1).sum((-1, -2))
    assert window_sums(x, size).equal(brute)
    taps = torch.rand(size, dtype=torch.float64)
    weighted = (x.unfold(1, size, 1).unfold(2, size, 1) * taps[:, None] * taps).sum((-1, -2))
    torch.testing.assert_close(weighted_sums(x, taps.tolist()), weighted)


def test_literal_product_multiplies_norms() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 4, 8):
        a, b = rng.normal(size=(2, size, 1))
        assert np.linalg.norm(product(a, b)) == pytest.approx(np.linalg.norm(a) * np.linalg.norm(b))
    i, j, k = np.eye(4)[1:, :, None]
    assert (product(i, i)[0], product(j, j)[0], product(k, k)[0]) == (-1, -1, -1)
    assert np.array_equal(product(i, j), -product(j, i))


@pytest.mark.parametrize(
    ("bands", "height", "width", "block"),
    [
        *((1, 40, 33, 32), (2, 64, 32, 32), (3, 50, 70, 32), (4, 64, 64, 32), (5, 33, 33, 32)),
        *((7, 20, 24, 8), (8, 64, 32, 32), (13, 32, 45, 32), (16, 10, 12, 32), (33, 16, 16, 8)),
    ],
)
def test_q2n_equals_its_literal_form(bands: int, height: int, width: int, block: int) -> None:
    rng = np.random.default_rng(bands)
    x = 200 + 50 * rng.normal(size=(bands, height, width)) + 100 * rng.random((1, height, width))
    y = 0.9 * x + 20 * rng.normal(size=x.shape)
    y[0, :5, :5] = -3
    batch = (torch.from_numpy(z)[None] for z in (x, y))
    if height < block // 2:  # the mirror image of the mirror image
        wide = [np.pad(z, ((0, 0), (0, block - height), (0, block - width)), mode="symmetric") for z in (x, y)]
        assert F.q2n(*batch, block=block).item() == pytest.approx(q2n(*wide, block), rel=1e-10)
    else:
        assert F.q2n(*batch, block=block).item() == pytest.approx(q2n(x, y, block), rel=1e-10)


def test_q2n_of_constant_blocks() -> None:
    def one(x: Tensor, y: Tensor) -> float:
        return F.q2n(x[None], y[None]).item()

    flat = torch.full((4, 32, 32), 100.0)
    assert one(flat, flat) == pytest.approx(1)
    assert one(flat, flat + 5) == pytest.approx(0, abs=1e-12)
    assert one(torch.zeros(4, 32, 32), torch.zeros(4, 32, 32)) == pytest.approx(1)
    # mean 0: the estimate stays as it is, v = y + 1 = 3 in each of four bands, against 1
    assert one(torch.zeros(4, 32, 32), torch.full((4, 32, 32), 2.0)) == pytest.approx(2 * 3 / (1 + 9))


def test_q2n_wants_digital_numbers() -> None:
    x, y = scene()
    with pytest.raises(DataError, match="digital numbers"):
        F.q2n(x / 2047, y / 2047)
    assert F.q2n(torch.zeros_like(x), torch.zeros_like(x)).item() == 1


def test_sharpness_by_hand() -> None:
    x = torch.tensor([[[[0.0, 3.0], [0.0, 3.0]], [[0.0, 0.0], [4.0, 4.0]]]])
    assert F.spatial_frequency(x).item() == pytest.approx(math.sqrt((9 + 0) / 2 + (0 + 16) / 2))
    assert F.standard_deviation(x).item() == pytest.approx((1.5 + 2) / 2)
    assert F.fcc(x, 2 * x[:, :1]).item() == pytest.approx(1)
    assert F.d_s_regression_unvalidated(x, x[:, :1] - x[:, 1:] + 7).item() == pytest.approx(0, abs=1e-12)
    pan, _ = scene(bands=1, size=16)
    assert F.d_rho_unvalidated(torch.cat([pan, 5 - pan], 1).double(), pan).item() == pytest.approx(1)


def test_block_indices_leave_out_the_rest() -> None:
    x, _ = scene(size=104, bands=3)
    exp = x + 5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    whole = [z[..., :96, :96] for z in (x, exp)]
    ms = x[..., ::4, ::4]
    assert F.d_lambda(x, ms, exp=exp).equal(F.d_lambda(whole[0], ms[..., :24, :24], exp=whole[1]))


def test_paper_variant_uses_the_ms_itself() -> None:
    x, _ = scene(size=64, bands=2)
    same = x.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert F.d_lambda(same, x, block=32, paper=True).item() == pytest.approx(0, abs=1e-12)
    with pytest.raises(ConfigError, match="block / ratio"):
        F.d_lambda(same, x, block=30, paper=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.uiqi(x[..., :20], x[..., :20]), "smaller than a window"),
        (lambda x: F.uiqi(x, x[:, :2]), "one shape"),
        (lambda x: F.d_lambda(x[:, :1], x[:, :1], exp=x[:, :1]), "two bands"),
        (lambda x: F.d_s(x, x[..., ::3, ::3], x[:, :1]), "whole ratio"),
        (lambda x: F.d_s(x, x[..., ::4, ::4], x[:, :2]), "PAN must be"),
        (lambda x: F.d_lambda(x, x[..., ::4, ::4], exp=x[..., 1:]), "EXP must have"),
        (lambda x: F.fcc(x, x), "do not fit"),
        (lambda x: F.share_used(x[0] > 0, 32), r"\[N,1,H,W\]"),
        (lambda x: F.ssim(x, x, data_range=2047, valid=x > 0), "valid must be"),
    ],
)
def test_wrong_data_are_refused(call, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call(scene()[0])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.scc(x, x, variant="prewitt"),
        lambda x: F.q2n(x, x, block=1),
        lambda x: F.uiqi(x, x, block=0),
        lambda x: F.psnr(x, x),
        lambda x: F.sam(x, x, unit="gon"),
        lambda x: F.d_lambda(x, x[..., ::4, ::4], grid="centre"),
        lambda x: F.d_lambda_k(x, x[..., ::4, ::4], gains=[0.3, 0.3]),
    ],
)
def test_wrong_options_are_refused(call) -> None:
    with pytest.raises(ConfigError):
        call(scene()[0])
