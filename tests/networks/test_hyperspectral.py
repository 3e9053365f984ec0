"""Supervised networks of hyperspectral fusion."""

from __future__ import annotations

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.losses import Edges
from fusionbench.networks.hs_ms_fusion import SSRNet
from fusionbench.networks.hs_pansharpening import HyperPNN, Pgnet

MAKERS = {
    "hyperpnn": lambda: HyperPNN(12),
    "hyperpnn plain": lambda: HyperPNN(12, skip=False),
    "pgnet": lambda: Pgnet(12, ratio=4, endmembers=5),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("size", [(5, 6), (8, 8)])
def test_sizes_and_gradients(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = MAKERS[name]().train()
    out = network(torch.rand(2, 12, *size), torch.rand(2, 1, 4 * size[0], 4 * size[1]))
    assert out.shape == (2, 12, 4 * size[0], 4 * size[1])
    (out**2).mean().backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    if name == "pgnet":  # a bias before batch normalisation moves nothing
        dead = [n for n in dead if not n.endswith("bias")]
    assert dead == []


def test_pgnet_needs_a_ratio_of_two_equal_steps() -> None:
    assert Pgnet(6, ratio=16)(torch.rand(2, 6, 4, 4), torch.rand(2, 1, 64, 64)).shape == (2, 6, 64, 64)
    with pytest.raises(ConfigError, match="ratio 8 is no square"):
        Pgnet(6, ratio=8)


def test_ssr_net_puts_guide_bands_where_their_response_lies() -> None:
    network = SSRNet(9, 3)
    assert network.places(None) == [0, 4, 8]  # published: 0, int(B / 2), B - 1
    srf = torch.zeros(3, 9)
    srf[0, 0:3], srf[1, 4], srf[2, 7:9] = 1 / 3, 1.0, torch.tensor([0.25, 0.75])
    assert network.places(srf[None].expand(2, -1, -1)) == [1, 4, 8]
    found = network(torch.rand(2, 9, 5, 6), torch.rand(2, 3, 20, 24), srf[None].expand(2, -1, -1))
    assert found["output"].shape == found["spatial"].shape == (2, 9, 20, 24)
    sum(out.square().mean() for out in found.values()).backward()
    dead = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert dead == {"alpha"}  # a scalar of the published weights that no layer uses


def test_edges_by_hand() -> None:
    output = torch.tensor([[[[0.0, 1.0], [3.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]]])
    batch = {"target": torch.zeros_like(output)}
    assert Edges("rows")({"output": output}, batch, None) == (9 + 4 + 0 + 0) / 4
    assert Edges("columns")({"output": output}, batch, None) == (1 + 0 + 0 + 0) / 4
    assert Edges("bands")({"output": output}, batch, None) == (1 + 0 + 4 + 4) / 4
    mask = torch.tensor([[[[True, False], [True, True]]]])
    assert Edges("rows")({"output": output}, batch, mask) == (9 + 0) / 2
    with pytest.raises(ConfigError, match="axis=depth"):
        Edges("depth")
