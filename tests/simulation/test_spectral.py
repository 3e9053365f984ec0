"""Many bands from a few maps: equal to drawing each band, equal on repetition, and told the truth about themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusionbench.errors import ConfigError
from fusionbench.sensors import load_sensor
from fusionbench.simulation import hs_bands, noisy, observe_bands, scene_for, simulate_hs_pair
from fusionbench.simulation.noise import stream
from fusionbench.simulation.observe import radiance
from fusionbench.simulation.optics import view
from fusionbench.simulation.spectral import FULL, coefficients, cube, gain_of, spectra_of


def test_maps_of_basis_spectra_give_what_each_band_gives() -> None:
    scene = scene_for(1, 64, 1.0)
    bands = load_sensor("worldview3").bands
    spectra = spectra_of(bands, scene.air, "radiance")
    for table in (spectra.lit, spectra.shaded):
        table[3] = 0  # narrow features are what PAN and MS images are simulated without
    ours = cube(spectra, coefficients(scene, spectra, 1))
    first, second = scene.first.astype(np.intp), scene.second.astype(np.intp)
    for index, band in enumerate(bands):
        drawn = radiance(scene, view(band, scene.air), slice(None), first, second) * FULL
        error = np.abs(ours[index] - drawn) / drawn.mean()
        assert np.percentile(error, 99.5) < 0.01, band.name


def test_hundreds_of_bands_need_few_basis_spectra() -> None:
    bands = load_sensor("aviris").bands
    spectra = spectra_of(bands, scene_for(0, 16, 1.0).air, "reflectance")
    assert 16 <= len(spectra.basis) <= 48


def test_flat_ground_keeps_its_level_through_any_point_spread() -> None:
    scene = scene_for(2, 64, 1.0)
    sharp = observe_bands(scene, hs_bands(450, 900, 10), 1.0, 64)
    soft = observe_bands(scene, hs_bands(450, 900, 10), 4.0, 16, fwhm=1.5)
    assert soft.shape == (10, 16, 16)
    np.testing.assert_allclose(soft.mean((1, 2)), sharp.mean((1, 2)), rtol=0.03)
    assert (soft.std((1, 2)) < sharp.std((1, 2))).all()


def test_a_shift_moves_what_is_seen() -> None:
    scene = scene_for(2, 64, 1.0)
    still, moved = (
        observe_bands(scene, hs_bands(500, 700, 3), 1.0, 64, shift=shift) for shift in ((0.0, 0.0), (2.0, 0.0))
    )
    inside = still[:, 12:52, 8:56]
    assert np.corrcoef(moved[:, 10:50, 8:56].ravel(), inside.ravel())[0, 1] > 0.99
    assert np.corrcoef(moved[:, 12:52, 8:56].ravel(), inside.ravel())[0, 1] < 0.95


def test_gain_of_a_full_width() -> None:
    assert gain_of(1.0) == pytest.approx(0.411, abs=0.001)  # exp(-pi^2 / (16 ln 2))


def test_noise_has_the_asked_ratio() -> None:
    image = np.full((2, 200, 200), 1000, np.float32)
    made = noisy(image, [50.0, 200.0], stream(0, "test"))
    assert made[0].std() == pytest.approx(20.0, rel=0.03)
    assert made[1].std() == pytest.approx(5.0, rel=0.03)
    assert np.array_equal(made, np.rint(made))


@pytest.fixture(scope="module")
def pairs() -> dict[str, dict[str, Any]]:
    hs, guide = load_sensor("rosis"), load_sensor("quickbird")
    return {mode: simulate_hs_pair(hs, 3, 64, 4, guide, mode) for mode in ("same_sensor", "two_sensor")}


def test_shapes_and_repetition(pairs: dict[str, dict[str, Any]]) -> None:
    one = pairs["same_sensor"]
    assert one["lr"].shape == (103, 16, 16)
    assert one["guide"].shape == (4, 64, 64)
    assert one["target"].shape == (103, 64, 64)
    again = simulate_hs_pair(load_sensor("rosis"), 3, 64, 4, load_sensor("quickbird"))
    assert all(np.array_equal(one[key], again[key]) for key in one if key != "meta")
    assert all(np.isfinite(one[key]).all() for key in one if key != "meta")


def test_the_true_instrument_made_the_pair_and_lies_near_the_nominal_one(pairs: dict[str, dict[str, Any]]) -> None:
    one = pairs["same_sensor"]
    ratio, kernel, target = 4, one["psf"], one["target"]
    np.testing.assert_allclose(one["srf"].sum(1), 1, rtol=1e-5)
    assert kernel.sum() == pytest.approx(1, abs=1e-4)
    block = target[:, 4 * 5 - 4 : 4 * 5 + 8, 4 * 6 - 4 : 4 * 6 + 8]
    clean = (block * kernel).sum((1, 2))
    np.testing.assert_allclose(one["lr"][:, 5, 6], clean, rtol=0.1, atol=12)
    assert abs((one["lr"][:, 5, 6] / clean).mean() - 1) < 0.01
    error = one["guide"] - np.tensordot(one["srf"], target, axes=1)
    assert (error.std((1, 2)) < target.mean() / 40).all()
    for true, nominal in ((one["srf"], one["srf_nominal"]), (kernel, one["psf_nominal"])):
        assert 0.001 < np.abs(true - nominal).sum() / nominal.sum() < 0.35
    assert all(abs(width / ratio - 1) <= 0.1 for width in one["meta"]["psf_fwhm"])
    assert all(50 <= snr <= 300 for snr in one["meta"]["snr"])


def test_the_guide_of_another_sensor_is_no_mixture_of_hs_bands(pairs: dict[str, dict[str, Any]]) -> None:
    two = pairs["two_sensor"]
    assert np.hypot(*two["meta"]["shift"]) == pytest.approx(1.0, abs=1e-3)  # a quarter of a HS pixel
    assert all(0.02 <= abs(gain - 1) <= 0.05 for gain in two["meta"]["gain"])
    mixed = np.tensordot(two["srf"], two["target"], axes=1)
    for band, ours in zip(two["guide"], mixed, strict=True):
        assert 0.5 < np.corrcoef(band.ravel(), ours.ravel())[0, 1] < 0.99


def test_mistakes_say_what_would_be_right() -> None:
    hs, guide = load_sensor("casi1500"), load_sensor("landsat7")
    with pytest.raises(ConfigError, match="swir1 at 1650 nm lies outside of HS"):
        simulate_hs_pair(hs, 1, 32, 4, guide)
    with pytest.raises(ConfigError, match="multiple of the ratio 4"):
        simulate_hs_pair(hs, 1, 33, 4, guide.bands[:3])
    with pytest.raises(ConfigError, match="give gsd"):
        simulate_hs_pair(hs.bands, 1, 32, 4, guide.bands[:3])
    with pytest.raises(ConfigError, match="whole number"):
        observe_bands(scene_for(1, 32, 1.0), hs.bands[:2], 1.3, 16)
