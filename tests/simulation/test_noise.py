"""Random fields: the statistics they promise, and the same bits from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from fusionbench.simulation.noise import cascade, field, lognormal, smoothstep, stream


def test_streams_of_a_seed_do_not_depend_on_one_another() -> None:
    assert stream(7, "plan").random() == stream(7, "plan").random()
    assert stream(7, "plan").random() != stream(7, "water").random()
    assert stream(7, "plan").random() != stream(8, "plan").random()


@pytest.mark.parametrize("level", [0, 2, 4])
def test_cascade_has_the_deviation_and_the_scale_asked_for(level: int) -> None:
    made = cascade(stream(1, "test"), 256, 256, {level: 0.3})
    assert made.dtype == np.float32
    assert made.std() == pytest.approx(0.3, rel=0.15)
    step = 2**level
    near = np.corrcoef(made[:, :-1].ravel(), made[:, 1:].ravel())[0, 1]
    far = np.corrcoef(made[:, : -4 * step].ravel(), made[:, 4 * step :].ravel())[0, 1]
    assert abs(far) < 0.15
    assert near < 0.1 if level == 0 else near > 0.8


def test_field_puts_metres_into_octaves() -> None:
    fine, coarse = (field(stream(3, "test"), 128, pixel, {4.0: 1.0}) for pixel in (4.0, 0.25))
    smooth = [np.corrcoef(x[:, :-1].ravel(), x[:, 1:].ravel())[0, 1] for x in (fine, coarse)]
    assert smooth[0] < 0.2
    assert smooth[1] > 0.95


def test_subdivision_keeps_a_constant() -> None:
    from fusionbench.simulation.noise import _double

    assert np.array_equal(_double(np.full((6, 3), 2.5, np.float32)), np.full((8, 3), 2.5, np.float32))


def test_lognormal_is_close_to_exp() -> None:
    x = np.linspace(-0.6, 0.6, 25, dtype=np.float32)
    assert np.allclose(lognormal(x), np.exp(x), rtol=0.015)
    assert smoothstep(np.float32([0.0, 0.5, 1.0]), 0.0, 1.0).tolist() == [0.0, 0.5, 1.0]
