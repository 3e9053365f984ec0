"""Facts of single networks that the contract does not cover."""

from __future__ import annotations

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.networks.pansharpening import MSDCNN, PNN, DiCNN, FusionNet, PanNet


def test_pannet_high_pass_ignores_a_constant() -> None:
    torch.manual_seed(0)
    network = PanNet(4).eval()
    lr, guide = torch.rand(1, 4, 8, 8), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        details = network(lr, guide) - network(torch.zeros_like(lr), guide * 0)
        moved = network(lr + 0.3, guide + 0.2) - network(torch.full_like(lr, 0.3), guide * 0 + 0.2)
    torch.testing.assert_close(details, moved, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("network", [PanNet, FusionNet, DiCNN])
def test_detail_injection_networks_start_from_exp(network: type[torch.nn.Module]) -> None:
    from fusionbench.imaging import expand

    module = network(4)
    torch.nn.init.zeros_(module.conv3.weight)
    torch.nn.init.zeros_(module.conv3.bias)
    lr = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(module(lr, torch.rand(1, 1, 32, 32)), expand(lr, 4, "dlpan"))


@pytest.mark.parametrize("seed", range(20))
def test_msdcnn_has_no_dead_band_at_start(seed: int) -> None:
    torch.manual_seed(seed)
    network = MSDCNN(8)
    lr = 0.02 + 0.6 * torch.rand(1, 8, 8, 8)
    assert (network(lr, torch.rand(1, 1, 32, 32)).mean(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize(("bands", "extra"), [(8, 4), (4, 2)])
def test_pnn_indices(bands: int, extra: int) -> None:
    network = PNN(bands, inputs="MS_PAN_NDxI")
    assert network.conv1.in_channels == bands + 1 + extra
    assert network(torch.zeros(1, bands, 8, 8), torch.zeros(1, 1, 32, 32)).isfinite().all()


def test_pnn_sees_no_padding_inside_its_border() -> None:
    torch.manual_seed(0)
    network = PNN(4)
    stack = torch.rand(1, 5, 48, 48)
    valid = network.conv3(torch.relu(network.conv2(torch.relu(network.conv1(stack)))))
    assert valid.shape[-1] == 48 - 2 * network.border


def test_wrong_options_say_what_exists() -> None:
    with pytest.raises(ConfigError, match="dicnn1, dicnn2"):
        DiCNN(4, variant="dicnn3")
    with pytest.raises(ConfigError, match="MS_PAN_NDxI"):
        PNN(4, inputs="PAN")
    with pytest.raises(ConfigError, match="4 and 8 bands"):
        PNN(3, inputs="MS_PAN_NDxI")
