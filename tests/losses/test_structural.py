"""SSIM as a loss equals another package's SSIM."""

from __future__ import annotations

import numpy as np
import pytest
import sewar
import torch
from sewar.utils import Filter

from fusionbench.errors import ConfigError
from fusionbench.losses.structural import SSIM


@pytest.mark.parametrize("peak", [1.0, 2047.0])
def test_ssim_equals_sewars(peak: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((24, 30)) * peak
    y = np.clip(x + 0.2 * peak * rng.standard_normal(x.shape), 0, peak)
    window = {"fltr": Filter.GAUSSIAN, "sigma": 1.5, "ws": 11}
    theirs, _ = sewar.ssim(x, y, ws=11, MAX=peak, mode="valid", fltr_specs=window)
    outputs, batch = ({k: torch.from_numpy(v)[None, None]} for k, v in (("output", x), ("target", y)))
    assert SSIM(peak=peak)(outputs, batch, None).item() == pytest.approx(1 - float(theirs), abs=2e-5)


def test_means_over_bands_and_images() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    each = [
        SSIM()({"output": x[i : i + 1, b : b + 1]}, {"target": y[i : i + 1, b : b + 1]}, None)
        for i in (0, 1)
        for b in range(3)
    ]
    torch.testing.assert_close(SSIM()({"output": x}, {"target": y}, None), torch.stack(each).mean())
    assert SSIM()({"output": x}, {"target": x}, None).item() == pytest.approx(0, abs=1e-5)


def test_images_smaller_than_the_window() -> None:
    x, y = torch.rand(1, 1, 8, 9), torch.rand(1, 1, 8, 9)
    small = SSIM(window=7)({"output": x}, {"target": y}, None)
    torch.testing.assert_close(SSIM()({"output": x}, {"target": y}, None), small)
    with pytest.raises(ConfigError, match="window=10"):
        SSIM(window=10)
