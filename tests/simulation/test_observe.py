"""Simulated pairs: the same from a seed, geometry, point spread, noise, and the switch that turns shifts off."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.imaging import mtf_kernel
from fusionbench.imaging.shift import estimate_shift
from fusionbench.sensors import load_sensor
from fusionbench.simulation import simulate_pair
from fusionbench.simulation.optics import digitise, gaussian_taps, sample
from fusionbench.simulation.statistics import measure, spectrum_slope

PINNED = "35bee865a58ed97d"


@pytest.fixture(scope="module")
def pair() -> dict:
    return simulate_pair(load_sensor("worldview3"), 5, 64, truth=True)


def test_sizes_types_and_levels(pair: dict) -> None:
    assert pair["ms"].shape == (8, 64, 64)
    assert pair["pan"].shape == (1, 256, 256)
    assert pair["ms"].dtype == pair["pan"].dtype == np.uint16
    assert pair["pan"].max() <= 2047
    assert 0.05 < pair["ms"].mean() / 2047 < 0.4
    assert pair["truth"]["reference"].shape == (8, 256, 256)
    assert pair["truth"]["classes"].shape == (512, 512)


def test_a_seed_gives_one_scene(pair: dict) -> None:
    again = simulate_pair(load_sensor("worldview3"), 5, 64)
    other = simulate_pair(load_sensor("worldview3"), 9, 64)
    assert np.array_equal(again["ms"], pair["ms"])
    assert np.array_equal(again["pan"], pair["pan"])
    assert not np.array_equal(other["ms"], pair["ms"])
    assert again["meta"] == pair["meta"]


def test_gains_lie_around_the_record(pair: dict) -> None:
    sensor = load_sensor("worldview3")
    ratio = np.array([*pair["meta"]["mtf_gains"], pair["meta"]["pan_gain"]]) / [*sensor.mtf_gains, sensor.pan_gain]
    assert (np.abs(ratio - 1) <= 0.1).all()
    assert ratio.std() > 0.01
    assert 60 <= pair["meta"]["snr"][-1] <= 170


@pytest.mark.parametrize(("name", "shape"), [("landsat8", (4, 2)), ("gaofen1", (4, 4))])
def test_other_ratios_and_coarse_sensors(name: str, shape: tuple[int, int]) -> None:
    made = simulate_pair(load_sensor(name), 2, 40)
    assert made["ms"].shape == (shape[0], 40, 40)
    assert made["pan"].shape == (1, 40 * shape[1], 40 * shape[1])


def test_registered_pairs_are_registered_on_the_area_grid() -> None:
    made = simulate_pair(load_sensor("worldview3"), 2, 64, registered=True)
    found = estimate_shift(*(torch.from_numpy(made[name].astype(np.float64)) for name in ("ms", "pan")), 4, "area")
    assert max(abs(found.dy), abs(found.dx)) < 0.15  # PAN px
    assert made["meta"]["shift"] == [0.0, 0.0]


def test_the_shift_told_is_the_shift_found(pair: dict) -> None:
    made = simulate_pair(load_sensor("quickbird"), 6, 96)
    found = estimate_shift(*(torch.from_numpy(made[name].astype(np.float64)) for name in ("ms", "pan")), 4, "area")
    assert np.allclose([-found.dy / 4, -found.dx / 4], made["meta"]["shift"], atol=0.12)  # MS px; bands differ too


def test_point_spread_has_the_gain_at_nyquist_and_the_form_of_the_mtf_filter() -> None:
    taps = gaussian_taps(0.3, 0.125, 0.0)
    offset = np.arange(len(taps)) - len(taps) // 2
    assert taps.sum() == pytest.approx(1.0)
    assert (taps * np.cos(2 * np.pi * 0.125 * offset)).sum() == pytest.approx(0.3, abs=1e-4)
    kernel = mtf_kernel(0.3, 4)[20].numpy()
    kernel = kernel / kernel.sum()
    ours = np.zeros(41)
    ours[20 - len(taps) // 2 : 21 + len(taps) // 2] = taps
    assert np.abs(kernel - ours).max() < 0.01
    with pytest.raises(ValueError, match="averaging"):
        gaussian_taps(0.9, 0.5, 0.25)


def test_sampling_is_exact_on_a_plane() -> None:
    rows, columns = np.meshgrid(np.arange(12.0), np.arange(12.0), indexing="ij")
    plane = (2 * rows + 3 * columns).astype(np.float32)
    at = np.array([[4.25, 5.5], [6.0, 7.75]], np.float32)
    assert np.allclose(sample(plane, at, at[::-1]), 2 * at + 3 * at[::-1], atol=1e-4)


def test_noise_has_the_ratio_asked_for() -> None:
    made = digitise(np.full((256, 256), 0.25, np.float32), 8000.0, 10.0, 100.0, np.random.default_rng(0), 4095)
    assert made.mean() == pytest.approx(2010, abs=1)
    assert made.std() == pytest.approx(20, rel=0.03)


def test_statistics_of_images_made_for_them() -> None:
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    image = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((256, 256))) / frequency**1.25)
    assert spectrum_slope(image, 0.02, 0.2) == pytest.approx(-2.5, abs=0.15)
    sensor = load_sensor("quickbird")
    pan = (image - image.min()) * 10 + 100
    ms = np.repeat(pan.reshape(64, 4, 64, 4).mean((1, 3))[None], 4, 0)
    found = measure(sensor, ms, pan[None])
    assert found["r2"] == pytest.approx(1.0)
    assert found["detail_lowest"] == pytest.approx(1.0)
    assert found["inverted"] == 0


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="size=8"):
        simulate_pair(load_sensor("worldview3"), 1, 8)


def test_pixels_do_not_drift() -> None:
    """Bits of one small scene, the same on any machine; whoever changes the world on purpose renews them."""
    made = simulate_pair(load_sensor("worldview3"), 7, 32)
    digest = hashlib.sha256(made["ms"].tobytes() + made["pan"].tobytes()).hexdigest()
    assert digest[:16] == PINNED
