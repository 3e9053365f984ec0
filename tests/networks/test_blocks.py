"""Shared pieces of networks against PyTorch's own operators and cases worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate, unfold

from fusionbench.networks.blocks import WindowAttention, enlarge, first_sample, reduce, wake
from fusionbench.networks.pansharpening.lagnet import LAConv


@pytest.mark.parametrize("method", ["bicubic", "bilinear"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_enlarge_on_the_area_grid_is_pytorchs_interpolate(ratio: int, method: str) -> None:
    x = torch.rand(2, 3, 7, 5)
    expected = interpolate(x, scale_factor=ratio, mode=method, align_corners=False)
    torch.testing.assert_close(enlarge(x, ratio, first_sample(ratio, "area"), method), expected, atol=1e-5, rtol=1e-5)


def test_reduce_on_the_area_grid_is_pytorchs_interpolate() -> None:
    x = torch.rand(1, 2, 16, 24)
    expected = interpolate(x, scale_factor=0.25, mode="bilinear", align_corners=False)
    torch.testing.assert_close(reduce(x, 4, first_sample(4, "area")), expected)


@pytest.mark.parametrize(("grid", "first"), [("legacy", 0), ("dlpan", 2)])
@pytest.mark.parametrize("method", ["bicubic", "bilinear"])
def test_enlarge_keeps_the_samples_where_the_grid_has_them(grid: str, first: int, method: str) -> None:
    x = torch.rand(1, 2, 6, 7)
    large = enlarge(x, 4, first_sample(4, grid), method)
    torch.testing.assert_close(large[..., first::4, first::4], x)
    torch.testing.assert_close(reduce(large, 4, first_sample(4, grid)), x)


def test_legacy_enlargement_repeats_the_last_rows() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
    row = enlarge(ramp, 4, 0.0, "bilinear")[0, 0, 0]
    torch.testing.assert_close(
        row, torch.tensor([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3, 3, 3])
    )


def test_local_adaptive_convolution_is_a_masked_unfolded_one() -> None:
    torch.manual_seed(0)
    layer, x = LAConv(3, 5), torch.rand(2, 3, 6, 7)
    patches = unfold(x, 3, padding=1).view(2, 3, 9, 42)
    mask = layer.attention1(x).view(2, 1, 9, 42)
    expected = torch.einsum("oct,nctp->nop", layer.weight.flatten(2), patches * mask).view(2, 5, 6, 7)
    torch.testing.assert_close(layer(x), expected + layer.attention3(x), atol=1e-5, rtol=1e-4)


def test_window_attention_is_attention_over_a_single_window() -> None:
    torch.manual_seed(0)
    layer, x = WindowAttention(8, 2, 4), torch.rand(1, 4, 4, 8)
    q, k, v = (part.reshape(16, 2, 4).transpose(0, 1) for part in layer.to_qkv(x).chunk(3, dim=-1))
    bias = torch.empty(16, 16)
    for i in range(16):
        for j in range(16):
            bias[i, j] = layer.pos_embedding[j // 4 - i // 4 + 3, j % 4 - i % 4 + 3]
    expected = ((q @ k.transpose(1, 2)) / 2 + bias).softmax(dim=-1) @ v
    torch.testing.assert_close(layer(x), layer.to_out(expected.transpose(0, 1).reshape(1, 4, 4, 8)))


@pytest.mark.parametrize("cross", [False, True])
def test_shifted_windows_do_not_look_across_the_edge(cross: bool) -> None:
    torch.manual_seed(0)
    layer = WindowAttention(8, 2, 4, shifted=True, cross=cross)
    x = torch.rand(1, 8, 8, 8, requires_grad=True)
    out = layer(x, x.detach() if cross else None)
    (gradient,) = torch.autograd.grad(out[0, 3, 3].sum(), x)
    seen = gradient[0].abs().sum(dim=-1) > 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:6, 2:6] = True
    assert torch.equal(seen, expected)
    (gradient,) = torch.autograd.grad(layer(x, x.detach() if cross else None)[0, 0, 7].sum(), x)
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:2, 6:] = True
    assert torch.equal(gradient[0].abs().sum(dim=-1) > 0, expected)


def test_wake_raises_only_what_sleeps() -> None:
    layer = torch.nn.Conv2d(1, 2, 3, padding=1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1).expand(2, 1, 3, 3))
        layer.bias.zero_()  # type: ignore[union-attr]
    x = torch.full((1, 1, 5, 5), 0.5)
    wake(layer, x)
    assert layer.bias is not None
    torch.testing.assert_close(layer.bias, torch.tensor([0.0, 4.55]))
    assert layer(x)[0, 1, 2, 2].item() == pytest.approx(0.05, abs=1e-5)
