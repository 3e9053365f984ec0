"""VO+Net: its steps on a small image, its prior, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fusionbench.classical.pansharpening import VONet
from fusionbench.errors import CheckpointError, ConfigError
from fusionbench.imaging import expand, mtf_filter
from fusionbench.regimes.prior import trained


def pair(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(0.2 + 0.5 * torch.rand(shape, generator=generator) for shape in ((1, 2, 12, 12), (1, 1, 48, 48)))  # type: ignore[return-value]


class Constant(nn.Module):
    """A prior that knows the answer."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        return self.image


def test_result_agrees_with_the_ms() -> None:
    lr, guide = pair()
    lr, guide = mtf_filter(expand(lr, 4, "dlpan"), 0.3, 4)[..., 2::4, 2::4], mtf_filter(guide, 0.3, 2)
    fused = VONet()(lr, guide)
    assert fused.dtype is torch.float32
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    seen = mtf_filter(fused, 0.3, 4)[..., 2::4, 2::4]
    before = mtf_filter(expand(lr, 4, "dlpan"), 0.3, 4)[..., 2::4, 2::4]
    assert float((seen - lr).square().mean()) < 0.2 * float((before - lr).square().mean())


def test_the_prior_pulls_the_more_the_larger_alpha() -> None:
    lr, guide = pair()
    goal = expand(lr, 4, "dlpan").clamp(0, 1)
    distances = [
        float((VONet(alpha=alpha, prior=Constant(goal), iterations=60)(lr, guide) - goal).square().mean())
        for alpha in (0.0, 1e-2, 1e2)
    ]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-4
    torch.testing.assert_close(
        VONet(alpha=0.0, prior=Constant(goal), iterations=20)(lr, guide), VONet(iterations=20)(lr, guide)
    )


def test_a_prior_that_is_missing_is_named(tmp_path: Path) -> None:
    assert trained(None, ratio=4, grid="area") is None
    with pytest.raises(CheckpointError, match="there is no such file"):
        trained(str(tmp_path / "nowhere.ckpt"), ratio=4, grid="area")


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="alpha"):
        VONet(alpha=-1.0)
    with pytest.raises(ConfigError, match="eta1"):
        VONet(eta1=0.0)
