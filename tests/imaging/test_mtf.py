"""Low-pass filters against the toolbox's values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.imaging import box_filter, gaussian_low_pass, mtf_filter, mtf_kernel, wavelet_low_pass
from tests.imaging.references import SCENES, difference, load, on_grid


@pytest.mark.parametrize("scene", SCENES)
def test_kernels_equal_the_toolbox(references: Path, scene: str) -> None:
    values, (gains, pan_gain) = load(references / f"{scene}.npz"), SCENES[scene]
    assert difference(torch.stack([mtf_kernel(gain, 4) for gain in gains]), values["mtf_kernels"]) < 1e-12
    assert difference(mtf_kernel(pan_gain, 4), values["pan_kernel"]) < 1e-12
    if "mtf_kernels_ratio2" in values:
        assert difference(torch.stack([mtf_kernel(g, 2) for g in gains]), values["mtf_kernels_ratio2"]) < 1e-12
        assert difference(mtf_kernel(0.3, 4), values["kernel_none"]) < 1e-12


@pytest.mark.parametrize("scene", SCENES)
def test_filtered_images_equal_the_toolbox(references: Path, scene: str) -> None:
    values, (gains, pan_gain) = load(references / f"{scene}.npz"), SCENES[scene]
    pan = values["pan"]
    for name, filtered in {
        "mtf_reference": mtf_filter(values["reference"], gains, 4),
        "mtf_pan": mtf_filter(pan, pan_gain, 4),
        "lpfilter_gauss_pan": gaussian_low_pass(pan, 4),
        "lpfilter_pan": wavelet_low_pass(pan, 4),
    }.items():
        assert difference(on_grid(filtered, values["grid"]), values[f"{name}_grid"]) < 2e-6 * 1e-3 * 2047, name


def test_filters_on_a_real_scene(shared: Path) -> None:
    folder = shared / "references" / "geoeye1"
    filters, pair = load(folder / "filters_GE1.npz"), load(folder / "rr_GE1.npz")
    assert difference(torch.stack([mtf_kernel(0.23, 4)] * 4), filters["mtf_kernels"]) < 1e-12
    for name, filtered in {
        "mtf_filtered_reference": mtf_filter(pair["reference"], [0.23] * 4, 4),
        "mtf_filtered_pan": mtf_filter(pair["pan"], 0.16, 4),
        "lpfilter_gauss_pan": gaussian_low_pass(pair["pan"], 4),
        "lpfilter_atrous_pan": wavelet_low_pass(pair["pan"], 4),
    }.items():
        assert difference(filtered, filters[name]) < 2e-5, name  # stored as float32


@pytest.mark.parametrize("ratio", [2, 4, 6])
def test_gain_at_nyquist(ratio: int) -> None:
    kernel = mtf_kernel(0.25, ratio)
    position = torch.arange(-20, 21, dtype=torch.float64)
    response = (kernel.sum(0) * torch.cos(torch.pi * position / ratio)).sum()
    assert float(response) == pytest.approx(0.25, abs=0.02)


def test_direct_convolution_gives_the_same() -> None:
    x = torch.rand(2, 2, 30, 21, dtype=torch.float64)
    padded = torch.nn.functional.pad(x, (20, 20, 20, 20), mode="replicate")
    kernels = torch.stack([mtf_kernel(0.2, 4), mtf_kernel(0.35, 4)])[:, None]
    direct = torch.nn.functional.conv2d(padded, kernels, groups=2)
    torch.testing.assert_close(mtf_filter(x, [0.2, 0.35], 4), direct, rtol=0, atol=1e-13)
    torch.testing.assert_close(mtf_filter(x.float(), [0.2, 0.35], 4), direct.float(), rtol=0, atol=1e-6)


def test_wavelet_low_pass_is_a_binomial_inside() -> None:
    impulse = torch.zeros(1, 41, 41, dtype=torch.float64)
    impulse[0, 20, 20] = 1
    row = wavelet_low_pass(impulse, 4).sum(1)[0, 12:29]
    pascal = torch.tensor([1, 16, 120, 560, 1820, 4368, 8008, 11440, 12870], dtype=torch.float64)
    torch.testing.assert_close(row, torch.cat([pascal, pascal[:-1].flip(0)]) / 65536)


def test_box_filter_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0, 6.0]]])
    torch.testing.assert_close(box_filter(x, 3), torch.tensor([[[4 / 3, 3.0, 14 / 3]]]))
    torch.testing.assert_close(box_filter(x, 3, border="reflect"), torch.tensor([[[5 / 3, 3.0, 10 / 3]]]))
    with pytest.raises(ValueError, match="odd"):
        box_filter(x, 4)


def test_wrong_gains() -> None:
    with pytest.raises(ConfigError, match="3 gains for 4 bands"):
        mtf_filter(torch.zeros(4, 8, 8), [0.3] * 3, 4)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        mtf_filter(torch.zeros(4, 8, 8), 1.0, 4)


def test_kernels_cannot_be_changed_by_their_users() -> None:
    mtf_kernel(0.3, 4).zero_()
    assert mtf_kernel(0.3, 4).sum() > 0.99
