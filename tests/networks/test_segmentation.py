"""CMGFNet and DSen2-CR: gradients, odd sizes, gates, losses by hand."""

from __future__ import annotations

import math

import pytest
import torch

from fusionbench.losses import BinaryCrossEntropy, CloudAdaptive
from fusionbench.networks.sar_optical import DSen2CR
from fusionbench.networks.segmentation import CMGFNet
from fusionbench.networks.segmentation.cmgfnet import Gate, Up


def test_counts_of_parts() -> None:  # by hand
    for module, count in ((Gate(16), 528), (Up(16, 16), 1232), (Up(32, 16), 2912), (Up(48, 16), 5104)):
        assert sum(p.numel() for p in module.parameters()) == count


def test_cmgfnet_takes_any_size_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = CMGFNet(4, 2, width=8, rectified=False).eval()  # behind batch statistics a bias has no gradient
    optical, height = torch.rand(2, 4, 130, 70), torch.rand(2, 1, 130, 70)
    found = network(optical, height)
    assert set(found) == {"output", "optical", "height"}
    assert all(logits.shape == (2, 2, 130, 70) for logits in found.values())
    torch.stack([(logits * torch.rand_like(logits)).sum() for logits in found.values()]).sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_heads_see_what_they_are_named_after() -> None:
    torch.manual_seed(0)
    network = CMGFNet(3, 2, width=8, rectified=False).eval()
    optical, height = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        first, second = network(optical, height), network(optical, height + 1)
    torch.testing.assert_close(first["optical"], second["optical"])
    assert not torch.equal(first["output"], second["output"])
    with torch.no_grad():
        assert all(
            (x >= 0).all()
            for x in CMGFNet(3, 2, width=8)(optical.repeat(2, 1, 1, 1), height.repeat(2, 1, 1, 1)).values()
        )


def test_gate_by_hand() -> None:
    gate = Gate(1)
    torch.nn.init.zeros_(gate.conv.weight)
    torch.nn.init.constant_(gate.conv.bias, math.log(3))  # share 3/4 for the first
    found = gate(torch.full((1, 1, 1, 1), 8.0), torch.full((1, 1, 1, 1), 4.0))
    torch.testing.assert_close(found.flatten(), torch.tensor([1.0, 6.0]))


def test_binary_cross_entropy_by_hand() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, -1.0]).reshape(1, 2, 1, 2)  # class 0: 0, 2; class 1: 1, -1
    labels = torch.tensor([[[1, -1]]])
    expected = (math.log(2) + math.log1p(math.exp(-1))) / 2
    assert BinaryCrossEntropy()({"output": logits}, {"target": labels}, None).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "count"),
    [({}, 18947341), ({"blocks": 6, "features": 128}, 1803405)],
)
def test_dsen2_cr_counts(settings: dict[str, int], count: int) -> None:
    with torch.device("meta"):
        network = DSen2CR(**settings)
    assert sum(p.numel() for p in network.parameters()) == count


def test_dsen2_cr_adds_a_correction() -> None:
    torch.manual_seed(0)
    network = DSen2CR(blocks=2, features=8)
    cloudy, sar = torch.rand(2, 13, 17, 11), torch.rand(2, 2, 17, 11)
    network(cloudy, sar).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    torch.nn.init.zeros_(network.last.weight)
    torch.testing.assert_close(network(cloudy, sar), cloudy)


def test_cloud_adaptive_loss_by_hand() -> None:
    image, cloudy, target = (torch.full((1, 1, 1, 2), v) for v in (3.0, 5.0, 4.0))
    batch = {"cloudy": cloudy, "target": target, "cloud": torch.tensor([[[[0.0, 1.0]]]])}
    # clear: |3 - 5| + |3 - 4| = 3; cloudy: |3 - 4| + |3 - 4| = 2
    assert CloudAdaptive()({"output": image}, batch, None) == pytest.approx(2.5)
