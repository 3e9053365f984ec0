"""Where torchmetrics and sewar define an index as the field does, we equal them; where not, that is why ours exists.

None of torchmetrics' classes is used: those that define an index alike pool the pixels of a batch, or keep all images.
"""

from __future__ import annotations

import numpy as np
import pytest
import sewar
import torch
import torchmetrics.functional.image as tm
from torch import Tensor

from fusionbench.metrics import functional as F

from .cases import scene

REL = 1e-10


def images(seed: int = 0, n: int = 1) -> tuple[Tensor, Tensor]:
    x, y = scene(seed, n)
    return x.double(), y.double()


def channels_last(x: Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).numpy()


def test_equal_to_torchmetrics() -> None:
    x, y = images(n=3)
    each = {"reduction": "none"}
    psnr = tm.peak_signal_noise_ratio(y, x, data_range=2047.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(F.psnr(x, y, data_range=2047), psnr, rtol=1e-7, atol=0)  # theirs: range in float32
    sam = tm.spectral_angle_mapper(y, x, **each).mean((1, 2))
    torch.testing.assert_close(F.sam(x, y, unit="radians"), sam, rtol=1e-7, atol=0)
    ergas = tm.error_relative_global_dimensionless_synthesis(y, x, ratio=4, **each)
    torch.testing.assert_close(F.ergas(x, y, ratio=4), ergas, rtol=REL, atol=0)


def test_equal_to_sewar() -> None:
    x, y = images()
    a, b = channels_last(x), channels_last(y)
    assert F.rmse(x, y).item() == pytest.approx(sewar.rmse(a, b), rel=REL)
    assert F.psnr(x, y, data_range=2047).item() == pytest.approx(sewar.psnr(a, b, MAX=2047), rel=REL)
    assert F.sam(x, y, unit="radians").item() == pytest.approx(sewar.sam(a, b), rel=1e-7)
    assert F.ergas(x, y, ratio=4).item() == pytest.approx(sewar.ergas(a, b), rel=REL)


@pytest.mark.parametrize("bands", [1, 2, 4, 8])
def test_q2n_equals_sewar(bands: int) -> None:
    x, y = (z.double().round() for z in scene(bands, bands=bands))
    assert F.q2n(x, y).item() == pytest.approx(sewar.q2n(channels_last(x), channels_last(y)), rel=REL)


def test_torchmetrics_ssim_counts_windows_across_the_border() -> None:
    x, y = images(n=3)
    theirs, every = tm.structural_similarity_index_measure(
        y, x, data_range=2047.0, reduction="none", return_full_image=True
    )
    ours = F.ssim(x, y, data_range=2047)
    assert (theirs - ours).abs().min() > 1e-4
    inside = every[..., 5:-5, 5:-5].mean((1, 2, 3))
    torch.testing.assert_close(ours, inside, rtol=REL, atol=0)


def test_torchmetrics_differs_from_the_field() -> None:
    x, y = images()
    assert tm.universal_image_quality_index(y, x).item() != pytest.approx(F.uiqi(x, y).item(), rel=1e-3)
    assert tm.spatial_correlation_coefficient(y, x).item() != pytest.approx(F.scc(x, y).item(), rel=1e-3)
    ms = x[..., 2::4, 2::4]
    assert tm.spectral_distortion_index(y, ms).item() != pytest.approx(F.d_lambda(y, ms).item(), rel=1e-3)
    x[..., 0, 0] = 0
    assert tm.spectral_angle_mapper(y, x).isnan()
    assert not F.sam(x, y).isnan().any()


def test_sewar_differs_from_the_field() -> None:
    x, y = images()
    a, b = channels_last(x), channels_last(y)
    # its window sums are means, so that the factor n stands where 1 belongs
    assert sewar.uqi(a, b, ws=32) != pytest.approx(F.uiqi(x, y).item(), rel=1e-3)
    assert sewar.scc(a, b) != pytest.approx(F.scc(x, y).item(), rel=1e-3)
    # a uniform window where SSIM's authors take a Gaussian one
    assert sewar.ssim(a, b, MAX=2047)[0] != pytest.approx(F.ssim(x, y, data_range=2047).item(), rel=1e-4)
