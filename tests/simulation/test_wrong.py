"""Missing, noisy and misplaced modalities do exactly what was asked."""

from __future__ import annotations

import numpy as np
import pytest

from fusionbench.errors import ConfigError
from fusionbench.simulation import add_noise, displacement, misregister, withhold
from fusionbench.simulation.noise import stream

IMAGE = stream(0, "test image").random((2, 64, 64), np.float32).cumsum(1).cumsum(2) / np.float32(1000)


def test_withheld_modalities_keep_shape_and_leave_the_others() -> None:
    sample = {"hs": IMAGE, "aux": IMAGE[:1]}
    assert not withhold(sample, "aux")["aux"].any()
    np.testing.assert_allclose(withhold(sample, "aux", "mean")["aux"].std(), 0, atol=1e-5)
    noise = withhold(sample, "aux", "noise")["aux"]
    assert noise.std() == pytest.approx(IMAGE[0].std(), rel=0.05)
    assert abs(np.corrcoef(noise.ravel(), IMAGE[0].ravel())[0, 1]) < 0.1
    assert withhold(sample, "aux")["hs"] is IMAGE
    with pytest.raises(ConfigError, match="zeros"):
        withhold(sample, "lidar")


def test_noise_has_its_ratio() -> None:
    assert (add_noise(IMAGE, 2.0, 1) - IMAGE).std() == pytest.approx(IMAGE.std((1, 2)).mean() / 2, rel=0.1)
    with pytest.raises(ConfigError, match="above 0"):
        add_noise(IMAGE, 0.0, 1)


def test_a_field_without_warp_is_a_shift() -> None:
    field = displacement(3, 64, 2.0, direction=90.0)
    np.testing.assert_allclose(field[0], 0, atol=1e-5)
    np.testing.assert_allclose(field[1], 2, atol=1e-5)
    moved = misregister(IMAGE, field)
    np.testing.assert_allclose(moved[:, :, 4:-6], IMAGE[:, :, 6:-4], rtol=1e-5)
    warped = displacement(3, 64, 2.0, 0.5)
    assert 0.1 < (warped - warped.mean((1, 2), keepdims=True)).std() < 1.5
    assert np.array_equal(warped, displacement(3, 64, 2.0, 0.5))
