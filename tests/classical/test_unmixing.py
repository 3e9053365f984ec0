"""VCA and FCLS on exact mixtures, errors by hand, MUNet's counts, the cloud rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fusionbench.classical.unmixing import fcls, vca
from fusionbench.errors import DataError
from fusionbench.imaging.clouds import dsen2_cr_clouds, dsen2_cr_shadow
from fusionbench.metrics.functional import abundance_errors, match_members, spectral_angles
from fusionbench.networks.unmixing import MUNet


def mixtures(noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    members = rng.uniform(0.05, 0.9, (4, 30))
    shares = rng.dirichlet(np.ones(4), 300)
    shares[[10, 20, 30, 40]] = np.eye(4)  # a pure pixel each
    return shares @ members + noise * rng.standard_normal((300, 30)), members, shares


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_vca_finds_the_pure_pixels(seed: int) -> None:
    spectra, _, _ = mixtures()
    found, pixels = vca(spectra, 4, seed)
    assert sorted(pixels.tolist()) == [10, 20, 30, 40]
    np.testing.assert_array_equal(found, spectra[pixels])


def test_fcls_undoes_mixing() -> None:
    spectra, members, shares = mixtures()
    np.testing.assert_allclose(fcls(spectra, members), shares, atol=1e-5)
    noisy = fcls(mixtures(0.05)[0], members)
    assert (noisy >= 0).all()
    np.testing.assert_allclose(noisy.sum(1), 1)


def test_more_members_than_bands_are_refused() -> None:
    with pytest.raises(DataError, match="2 to 30"):
        vca(mixtures()[0], 31)


def test_errors_by_hand() -> None:
    members = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    torch.testing.assert_close(spectral_angles(members[:1], torch.tensor([[1.0, 1.0]])).item(), math.pi / 4)
    assert match_members(members, members.flip(0) * 3) == [1, 0]
    reference, estimate = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.7, 0.0], [0.3, 1.0]])
    found = abundance_errors(reference, estimate)
    assert found["aRMSE"] == pytest.approx(0.15)
    assert found["RMSE"] == pytest.approx(math.sqrt(0.045))
    torch.testing.assert_close(found["RMSE_member"], torch.full((2,), math.sqrt(0.045)).double())


@pytest.mark.parametrize(("bands", "members", "count"), [(64, 5, 3177), (144, 4, 14066)])
def test_munet(bands: int, members: int, count: int) -> None:
    torch.manual_seed(0)
    network = MUNet(bands, 5, members)
    assert sum(p.numel() for p in network.parameters()) == count
    network.begin_with(torch.rand(members, bands))
    network.project()
    found = network(torch.rand(2, bands, 9, 7), torch.rand(2, 5, 9, 7))
    torch.testing.assert_close(found["output"].sum(1), torch.ones(2, 9, 7))
    torch.testing.assert_close(found["rebuilt"], torch.einsum("nphw,pb->nbhw", found["output"], network.members))


def test_a_white_square_is_cloud() -> None:
    image = torch.full((1, 13, 60, 60), 0.12)
    image[:, [0, 1, 2, 3]] = 0.08
    image[..., 20:40, 20:40] = 0.6
    clouds = dsen2_cr_clouds(image) & ~dsen2_cr_shadow(image)
    assert clouds[0, 0, 26:34, 26:34].all()
    assert not clouds[0, 0, :12].any()
