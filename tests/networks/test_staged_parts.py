"""What the stages of GTP-PNet and SDPNet compare, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fusionbench.networks.pansharpening import (
    ChannelRanking,
    DeepFeatures,
    EncoderDecoder,
    GradientPrior,
    SelectedChannels,
    SpatialCoding,
    SpectralCoding,
    TNet,
    TNetLearning,
)
from fusionbench.networks.pansharpening.gtp_pnet import sobel


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1, keepdim=True)


def test_transformed_gradients() -> None:
    """A TNet that takes the mean of the bands gives the gradients of their mean."""
    image = torch.rand(2, 3, 8, 8)
    found = TNetLearning()(Mean(), image, image.mean(dim=1, keepdim=True))
    torch.testing.assert_close(found["output"], found["guide_gradients"])
    torch.testing.assert_close(found["output"][:, :1], sobel(image.mean(dim=1, keepdim=True))[0])
    assert TNetLearning()(TNet(3), image, image[:, :1])["output"].shape == (2, 2, 8, 8)


def test_prior_reduces_as_published() -> None:
    image = torch.arange(64.0).view(1, 1, 8, 8)
    reduced = GradientPrior(4, "dlpan")(Mean(), image, image)["reduced"]
    assert reduced.flatten().tolist() == [0, 4, 32, 36]
    aligned = GradientPrior(4, "dlpan", "aligned")(Mean(), image, image)["reduced"]
    assert aligned.flatten().tolist() == [18, 22, 50, 54]


def test_coders_see_both_kinds_in_turn() -> None:
    guide, target = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8)
    torch.testing.assert_close(SpatialCoding()(Mean(), Mean(), guide, target, 0)["shown"], guide)
    torch.testing.assert_close(SpatialCoding()(Mean(), Mean(), guide, target, 1)["shown"], target.mean(1, True))
    ramp = torch.arange(8.0).expand(1, 2, 8, 8)
    shown = SpectralCoding(4)(Mean(), Mean(), guide, ramp, 1)["shown"]
    assert shown[0, 0, 0].tolist() == [1.5, 5.5]  # halfway between pixels, without a low pass


class Coder(EncoderDecoder):
    """Channel c answers with c times the image."""

    def encode(self, x: Tensor) -> Tensor:
        return torch.arange(128.0)[None, :, None, None] * x.mean(dim=1, keepdim=True)


def test_channels_are_those_behind_the_ten_largest() -> None:
    coder, channels = Coder(1, 1), SelectedChannels()
    batches = ({"lr": torch.rand(2, 2, 4, 4), "guide": torch.rand(2, 1, 16, 16)} for _ in range(3))
    ChannelRanking(4, images=3)(coder, coder, Mean(), Mean(), channels, batches)
    wanted = list(range(117, 97, -1))
    assert channels.spatial.tolist() == wanted
    assert channels.spectral.tolist() == wanted
    assert next(batches, None) is not None  # two batches held the three images
    found = DeepFeatures()(
        coder, coder, Mean(), channels, torch.ones(1, 2, 4, 4), torch.ones(1, 1, 4, 4), torch.ones(1, 2, 4, 4)
    )
    assert found["spatial"][0, :, 0, 0].tolist() == pytest.approx(wanted)
    torch.testing.assert_close(found["spectral"], found["target_spectral"])
