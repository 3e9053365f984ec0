"""What every network of pixel-wise classification must do, for all configurations found; fusion variants; stages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError
from fusionbench.losses import CrossEntropy, Residuals
from fusionbench.networks.classification import (
    MDLRS,
    BranchClassifier,
    DecisionFusion,
    DecisionWeights,
    FusionBaseline,
    HandOver,
    TwoBranchCNN,
)
from fusionbench.regimes.training import kernel_decay

from .cards import build_part, model_config, trained_methods

CHANNELS = {"hs": 20, "aux": 2, "hs_features": 16, "aux_features": 12}
FACTS = {"channels": CHANNELS, "classes": 4, "card": {"roles": ["hs", "aux"]}}
METHODS = [m for m in trained_methods() if model_config(m).card.task == "classification"]


def inputs(method: str, images: int = 3, channels: dict[str, int] = CHANNELS) -> dict[str, Tensor]:
    node = model_config(method)
    names = list(node.card.roles.required) or list(FACTS["card"]["roles"])  # type: ignore[index]
    window = 7 if method == "mdl_rs" else int(node.inputs.window)
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(images, channels[name], window, window, generator=generator) for name in names}


def output_of(found: Any) -> Tensor:
    return found["output"] if isinstance(found, dict) else found


@pytest.mark.parametrize("method", METHODS)
def test_gradient_reaches_every_parameter(method: str) -> None:
    frozen = {"config": {"frozen": False}} if method == "two_branch_cnn" else {}
    network = build_part(method, data=FACTS, **frozen).train()
    found = network(**inputs(method, 6))
    parts = found.values() if isinstance(found, dict) else [found]
    torch.stack([part.square().mean() for part in parts]).sum().backward()
    dead = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert not dead


@pytest.mark.parametrize("method", METHODS)
def test_logits_of_windows_do_not_mix(method: str) -> None:
    network = build_part(method, data=FACTS).eval()
    windows = inputs(method)
    with torch.no_grad():
        together = output_of(network(**windows))
        apart = torch.cat([output_of(network(**{k: v[i : i + 1] for k, v in windows.items()})) for i in range(3)])
    assert together.shape == (3, 4)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", ["early", "middle", "late", "en_de", "cross"])
@pytest.mark.parametrize("net", ["fc", "cnn"])
def test_mdl_rs_takes_three_modalities(net: str, fusion: str) -> None:
    channels = {"hs": 12, "aux": 4, "dsm": 1}
    network = MDLRS(channels, 5, net=net, fusion=fusion).train()
    windows = {name: torch.rand(4, bands, 7, 7) for name, bands in channels.items()}
    found = network(**windows)
    assert found["output"].shape == (4, 5)
    extra = {f"residual_{name}" for name in channels} if fusion in ("en_de", "cross") else set()
    assert set(found) == {"output", *extra}
    sum(part.square().mean() for part in found.values()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_mdl_rs_cross_is_the_sum_of_both_last_layers() -> None:
    network = MDLRS({"hs": 6, "aux": 3}, 4, net="fc", fusion="cross").eval()
    x, y = torch.rand(5, 6, 1, 1), torch.rand(5, 3, 1, 1)

    def through(layers: Any, z: Tensor) -> Tensor:
        for layer in layers:
            z = layer(z)
        return z

    u1, u2 = through(network.extract["hs"][:3], x[..., 0, 0]), through(network.extract["aux"][:3], y[..., 0, 0])
    w1, w2 = network.extract["hs"][3], network.extract["aux"][3]
    a11, a22 = w1(u1), w2(u2)
    a12 = torch.relu(network.crossed["hs_aux"](w2.conv(u1)))
    a21 = torch.relu(network.crossed["aux_hs"](w1.conv(u2)))
    joined = through(network.joint["joined"], torch.cat([a11 + a21, a22 + a12], dim=1))
    torch.testing.assert_close(network(hs=x, aux=y)["output"], network.classify(joined))


def test_mdl_rs_refuses_what_it_cannot_be() -> None:
    with pytest.raises(ConfigError, match="cross at least two"):
        MDLRS({"hs": 6}, 4, fusion="cross")
    with pytest.raises(ConfigError, match="hs, aux"):
        MDLRS({"hs": 6, "aux": 2}, 4, modalities=["sar"])
    with pytest.raises(ConfigError, match=r"data\.window=7"):
        MDLRS({"hs": 6, "aux": 2}, 4, fusion="en_de").train()(hs=torch.rand(2, 6, 9, 9), aux=torch.rand(2, 2, 9, 9))


@pytest.mark.parametrize("fusion", ["early", "middle", "late"])
@pytest.mark.parametrize(
    ("head", "shape"), [("classes", (2, 3)), ("mask", (2, 3, 12, 10)), ("regression", (2, 3, 12, 10))]
)
def test_fusion_baseline_heads_and_grids(head: str, shape: tuple[int, ...], fusion: str) -> None:
    network = FusionBaseline({"image": 4, "height": 1, "sar": 2}, 3, head=head, fusion=fusion, width=8)
    images = {"image": torch.rand(2, 4, 12, 10), "height": torch.rand(2, 1, 6, 5), "sar": torch.rand(2, 2, 12, 10)}
    assert network(**images).shape == shape


def test_two_branch_hands_trunks_over_and_keeps_them_still() -> None:
    network = TwoBranchCNN(20, 2, 4)
    branches = [BranchClassifier("hs", 20, 4), BranchClassifier("aux", 2, 4)]
    HandOver()(network, *branches)
    for name, branch in zip(("hs", "aux"), branches, strict=True):
        for a, b in zip(network.trunks[name].parameters(), branch.trunk.parameters(), strict=True):
            assert torch.equal(a, b)
    network.train()
    assert not any(module.training for module in network.trunks.modules())
    network(hs=torch.rand(4, 20, 11, 11), aux=torch.rand(4, 2, 11, 11)).sum().backward()
    assert all(p.grad is None for p in network.trunks.parameters())
    assert network.dense.weight.grad is not None


def test_decision_weights_come_from_held_back_pixels() -> None:
    network = DecisionFusion(9, 9, 9, 3, filters=(4, 4, 4), spectral=(1, 1, 1)).eval()
    members = [nn.Module() for _ in range(3)]
    for made, member in zip(members, network.members, strict=True):
        made.state_dict = member.state_dict  # type: ignore[method-assign]
    batch = {name: torch.rand(5, 9, 5, 5) for name in ("hs", "hs_features", "aux_features")}
    probabilities = network.probabilities(**batch)
    DecisionWeights()(network, *members, batches=[batch | {"target": probabilities[2].argmax(1)}])
    a, b = network.weights.tolist()
    fused = network(**batch)
    assert (fused.argmax(1) == probabilities[2].argmax(1)).all()
    assert 0 < a <= 1
    assert 0 < b <= 1
    with pytest.raises(DataError, match="no validation pixels"):
        DecisionWeights()(network, *members, batches=[])


def test_losses_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    outputs = {"output": logits, "residual_hs": torch.tensor([1.0, 3.0]), "residual_aux": torch.tensor([2.0])}
    batch = {"target": torch.tensor([0, 0, -1])}
    mine = torch.log1p(torch.exp(torch.tensor([-2.0, 1.0])))
    torch.testing.assert_close(CrossEntropy()(outputs, batch, None), mine.mean())
    weighted = CrossEntropy(weights=[3.0, 1.0])
    torch.testing.assert_close(
        weighted(outputs, {"target": torch.tensor([0, 1, -1])}, None),
        (3 * mine[0] + torch.log1p(torch.exp(torch.tensor(-1.0)))) / 4,
    )
    assert "weights" not in weighted.state_dict()
    assert CrossEntropy()(outputs, {"target": torch.tensor([-1, -1, -1])}, None) == 0
    assert Residuals()(outputs, batch, None) == pytest.approx(5 + 4)
    assert Residuals()({"output": logits}, batch, None) == 0


def test_decay_acts_on_kernels_alone() -> None:
    layer = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    made = kernel_decay(layer.parameters(), lambda groups: torch.optim.SGD(groups, lr=1.0), 0.5)
    before = [p.detach().clone() for p in layer.parameters()]
    for p in layer.parameters():
        p.grad = torch.zeros_like(p)
    made.step()
    after = list(layer.parameters())
    torch.testing.assert_close(after[0], 0.5 * before[0])
    for old, new in zip(before[1:], after[1:], strict=True):
        assert torch.equal(old, new)
    with pytest.raises(ConfigError, match="0 or more"):
        kernel_decay(layer.parameters(), torch.optim.SGD, -1.0)
