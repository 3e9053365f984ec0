"""Classical fusion of hyperspectral images: exact cases, and a scene on which each beats interpolation."""

from __future__ import annotations

import pytest
import torch

from fusionbench.classical.hs_ms_fusion import CNMF, GLPHS, GSAHS, SFIMHS, Bicubic, GuideRegression
from fusionbench.classical.hs_ms_fusion.base import degrade, gaussian_psf

METHODS = [GuideRegression, GSAHS, GLPHS, SFIMHS, CNMF]


def scene(bands: int = 12, size: int = 48, ratio: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mixtures of four smooth spectra in patches: target, what the HS and what the guide sees of it."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(4, 1, generator=generator) * bands
    spectra = 0.2 + (-((torch.arange(bands) - centres) ** 2) / 12).exp()
    shares = torch.rand(1, 4, size // 3, size // 3, generator=generator).repeat_interleave(3, 2).repeat_interleave(3, 3)
    shares = (6 * shares).softmax(1)
    target = torch.einsum("pb,npij->nbij", spectra, shares).double()
    response = torch.zeros(3, bands, dtype=torch.float64)
    for k in range(3):
        response[k, 4 * k : 4 * k + 4] = 0.25
    return target, degrade(target, ratio), torch.einsum("kb,nbij->nkij", response, target)


def rmse(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).square().mean().sqrt())


@pytest.mark.parametrize("method", METHODS)
def test_each_beats_interpolation(method: type) -> None:
    target, lr, guide = scene()
    fused = method(4)(lr, guide)
    assert fused.shape == target.shape
    assert fused.isfinite().all()
    assert rmse(fused, target) < 0.6 * rmse(Bicubic(4)(lr, guide), target)


@pytest.mark.parametrize("method", [*METHODS, Bicubic])
def test_images_of_a_batch_do_not_mix(method: type) -> None:
    _, lr, guide = scene(size=24)
    both = method(4)(torch.cat([lr, lr.flip(-1)]), torch.cat([guide, guide.flip(-1)]))
    torch.testing.assert_close(both[:1], method(4)(lr, guide))


def test_a_guide_of_one_band_that_explains_all_is_taken_over() -> None:
    guide = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(1)).double()
    target = torch.tensor([2.0, -0.5, 1.0]).double()[None, :, None, None] * guide + 0.3
    fused = GuideRegression(4)(degrade(target, 4), guide)
    torch.testing.assert_close(fused, target, atol=1e-9, rtol=0)


def test_degradation() -> None:
    psf = gaussian_psf(4)
    assert psf.shape == (12, 12)
    assert float(psf.sum()) == pytest.approx(1)
    assert float(psf[5, 5] / psf[5, 5 + 2]) == pytest.approx(0.5 ** (0.25**2 - 0.75**2), rel=1e-6)
    flat = torch.full((1, 2, 8, 12), 3.0).double()
    torch.testing.assert_close(degrade(flat, 4), torch.full((1, 2, 2, 3), 3.0).double())
    blocks = torch.zeros(4, 4).double() + 1 / 16
    image = torch.arange(64.0).double().reshape(1, 1, 8, 8)
    torch.testing.assert_close(degrade(image, 4, blocks), torch.nn.functional.avg_pool2d(image, 4))
