"""HS-MS fusion fitted to each scene: what a fit may read, what it moves, that it fuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.imaging import imresize
from fusionbench.networks.hs_ms_fusion import UDALN, MIAEDegradation, MIAEFit, NonRegSRNet
from fusionbench.networks.hs_ms_fusion.coupled import from_uniform, off_one
from fusionbench.networks.hs_ms_fusion.miae import batch_size, inner, patches
from fusionbench.networks.hs_ms_fusion.nonregsrnet import DisplacementNet, displaced
from fusionbench.networks.hs_ms_fusion.nonregsrnet_fit import correlation, roughness
from fusionbench.networks.hs_ms_fusion.usdn import USDN
from fusionbench.networks.hs_ms_fusion.usdn_fit import angle_between, entropy, sampled

from .cards import model_config, trained_methods
from .hs_ms_pairs import BANDS, SHORT, SIZES, TINY, pair, psf, regime, srf

LEARNED = ("cucanet", "miae", "nonregsrnet", "udaln")  # they estimate response and point spread


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_all_of_this_kind_are_here() -> None:
    cards = {name: model_config(name).card for name in trained_methods()}
    found = {name for name, card in cards.items() if (card.task, card.regime) == ("hs_ms_fusion", "per_scene")}
    assert set(SHORT) == set(TINY) == found


def test_parts_have_the_published_counts() -> None:
    runs = [5, 6, 7, 5, 6, 5, 11, 14]
    udaln = UDALN(46, 8, 5, [[0, run - 1] for run in runs])
    assert (count(udaln.inverse), count(udaln.psf), count(udaln.srf)) == (2206, 25, 59)
    assert count(UDALN(110, 8, 5).inverse) == 9950
    assert count(MIAEDegradation(103, 4, 8)) == 637
    net = NonRegSRNet(191, 6, 4)
    parts = (net.ms_enc, net.dec, net.hs_enc, net.psf, net.unet, net.srf)
    assert [count(part) for part in parts] == [216804, 19100, 240484, 16, 1601286, 1146]


@pytest.mark.parametrize("method", SHORT)
def test_it_is_better_than_bicubic_and_the_loss_falls(method: str) -> None:
    batch, losses = pair(SIZES.get(method, (6, 7))), []
    made = regime(method, SHORT[method])
    made._tell = lambda *_: losses.append((_[2].name, sum(float(v) for v in _[4].values())))
    fused = made.fuse(batch)
    bicubic = imresize(batch["lr"], batch["guide"].shape[-2:])
    errors = [(image - batch["target"]).square().mean().sqrt() for image in (fused, bicubic)]
    assert errors[0] < 0.9 * errors[1]
    for stage in {name for name, _ in losses}:
        values = [value for name, value in losses if name == stage]
        assert values[-1] < 0.9 * values[0], stage


@pytest.mark.parametrize("method", TINY)
def test_no_reference_enters(method: str) -> None:
    batch = pair()
    once = regime(method, TINY[method]).fuse({k: v for k, v in batch.items() if k != "target"})
    for target in (torch.full_like(batch["target"], torch.nan), 3 * batch["target"]):
        valid = torch.zeros_like(target[:, :1], dtype=torch.bool)
        assert torch.equal(regime(method, TINY[method]).fuse(batch | {"target": target, "valid": valid}), once)
    assert once.shape == batch["target"].shape
    assert once.isfinite().all()


@pytest.mark.parametrize("method", TINY)
def test_a_fit_moves_every_value(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = regime(method, TINY[method])
    kept: list[tuple[torch.nn.Module, dict[str, Tensor]]] = []
    fresh = made._fresh

    def keep(inputs: Any) -> torch.nn.Module:
        network = fresh(inputs)
        kept.append((network, {name: p.detach().clone() for name, p in network.named_parameters()}))
        return network

    monkeypatch.setattr(made, "_fresh", keep)
    made.fuse(pair(SIZES.get(method, (6, 7))))
    network, before = kept[0]
    still = {name for name, p in network.named_parameters() if torch.equal(p, before[name])}
    assert still == set()


@pytest.mark.parametrize("method", TINY)
@pytest.mark.parametrize(("size", "ratio"), [((5, 9), 3), ((6, 6), 5), ((7, 5), 8)])
def test_other_sizes_and_ratios(method: str, size: tuple[int, int], ratio: int) -> None:
    batch = pair(size, ratio)
    made = regime(method, TINY[method], ratio)
    assert made.fuse(batch).shape == batch["target"].shape


@pytest.mark.parametrize("method", LEARNED)
def test_it_knows_what_its_card_says(method: str) -> None:
    """Of the response its support alone, or nothing; never the point spread. All of it is estimated."""
    batch = pair()
    made = regime(method, TINY[method])
    once = made.fuse(batch)
    assert made.estimates["srf"].shape == (3, BANDS)
    torch.testing.assert_close(made.estimates["srf"].sum(dim=1), torch.ones(3))
    assert {"psf", "srf"} <= set(made.estimates)
    distorted = batch | {"srf": batch["srf"].sqrt(), "psf": batch["psf"].flip(-1) * torch.rand(4, 4)}
    assert torch.equal(made.fuse(distorted), once)
    blind = {name: value for name, value in batch.items() if name not in ("srf", "psf")}
    knowledge = model_config(method).card.knowledge
    assert torch.equal(made.fuse(blind), once) is (knowledge == "none")
    assert knowledge in ("none", "srf_support")


@pytest.mark.parametrize("method", ["usdn", "gdd"])
def test_a_response_that_it_needs(method: str) -> None:
    batch = pair()
    assert model_config(method).card.knowledge == "srf"
    made = regime(method, TINY[method])
    assert not torch.equal(made.fuse(batch), made.fuse(batch | {"srf": batch["srf"].roll(1, 2)}))
    with pytest.raises(DataError, match="needs srf"):
        made.fuse({name: value for name, value in batch.items() if name != "srf"})


@pytest.mark.parametrize(
    ("method", "told"), [("cucanet", ["srf"]), ("udaln", ["srf", "psf"]), ("miae", ["srf", "psf"])]
)
def test_known_degradations_are_used_as_told(method: str, told: list[str]) -> None:
    batch = pair()
    settings = {**TINY[method], "fit": TINY[method]["fit"] | dict.fromkeys(told, "known")}
    made = regime(method, settings)
    made.fuse(batch)
    assert torch.equal(made.estimates["srf"], srf())
    assert torch.equal(made.estimates["psf"], psf(4)) is ("psf" in told)
    with pytest.raises(DataError, match=r"fit\.srf=known: the data set does not tell srf"):
        made.fuse({name: value for name, value in batch.items() if name != "srf"} | {"psf": batch["psf"]})


def test_miae_finds_a_point_spread_of_its_block() -> None:
    """The learned kernel, told about the block, has its weight where the block is."""
    made = regime("miae", {"network": {"members": 6}, "fit": {"steps": [300, 1], "rates": [1e-3, 1e-3]}})
    made.fuse(pair((10, 10)))
    kernel = made.estimates["psf"]
    assert kernel.shape == (10, 10)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert kernel[3:7, 3:7].sum() > 0.6  # 16 of 49 values


def test_miae_learns_both_or_none() -> None:
    with pytest.raises(ConfigError, match="srf=known, psf=learned"):
        MIAEFit(srf="known")


# --- by hand ---


def test_sticks_are_non_negative_and_leave_a_rest() -> None:
    torch.manual_seed(0)
    network = USDN(5, 2, basis=4)
    found = network.ms_abundances(torch.randn(7, 2))
    assert (found >= 0).all()
    assert (found.sum(dim=1) < 1).all()
    for layer in (network.ms_encoder.uniform.last, network.ms_encoder.beta.last):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    network.ms_encoder.beta.last.bias.data.fill_(torch.tensor(1.0).expm1().log())  # softplus of it is one
    sticks = network.ms_abundances(torch.randn(1, 2))
    torch.testing.assert_close(sticks, torch.tensor([[1 / 2, 1 / 4, 1 / 8, 1 / 16]]))


def test_usdn_terms_by_hand() -> None:
    image = torch.arange(49.0).reshape(1, 7, 7)
    assert sampled(image, (3, 2)).tolist() == [[[0, 6], [21, 27], [42, 48]]]
    even = torch.full((3, 4), 0.1)
    assert entropy(even).item() == pytest.approx(-0.25 * torch.tensor(0.25).log().item(), rel=1e-5)
    assert angle_between(torch.eye(2), torch.eye(2).flip(0)).item() == pytest.approx(0.5)


def test_coupled_terms_by_hand() -> None:
    assert from_uniform(torch.full((1, 4, 2, 3), 0.7)).item() == pytest.approx(0, abs=1e-6)
    assert off_one(torch.full((1, 4, 2, 3), 0.5)).item() == 6


def test_miae_patches_by_hand() -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    found = patches(image, 5, 3)
    assert found.shape == (4, 1, 5, 5)
    assert torch.equal(found[1], image[0, :, :5, 3:])
    assert torch.equal(inner(image, 3), image[..., 3:5, 3:5])
    # published rule for whole multiples of 512 x 256, in proportion below
    assert [batch_size(*side, 4, 10**6) for side in ((512, 512), (512, 300), (256, 256), (16, 16))] == [200, 100, 50, 1]
    assert batch_size(512, 512, 16, 10**6) == 10


def test_displaced_by_hand() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    right = torch.stack([torch.ones(3, 4), torch.zeros(3, 4)])[None]
    expected = torch.tensor([[1.0, 2, 3, 0], [5, 6, 7, 0], [9, 10, 11, 0]])
    torch.testing.assert_close(displaced(image, right)[0, 0], expected, atol=1e-5, rtol=0)
    half_down = 0.5 * right.flip(1)
    torch.testing.assert_close(displaced(image, half_down)[0, 0, :2], image[0, 0, :2] + 2, atol=1e-5, rtol=0)


def test_displacements_of_both_signs_unless_published() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 9, 9)
    free, relu = (DisplacementNet(4, 2, name)(x) for name in ("none", "relu"))
    assert free.min() < 0 < free.max()
    assert relu.min() == 0
    assert count(DisplacementNet(4, 2, "none")) == count(DisplacementNet(4, 2, "relu"))
    with pytest.raises(ConfigError, match="displacement_activation=tanh"):
        DisplacementNet(4, 2, "tanh")


def test_nonregsrnet_terms_by_hand() -> None:
    a = torch.tensor([0.2, 0.6]).view(1, 2, 1, 1)
    b = torch.tensor([0.5, 0.1]).view(1, 2, 1, 1)
    cross, one, two = 0.16 - 0.8 * 0.6, 0.4 - 0.8**2, 0.26 - 0.6**2
    assert correlation(a, b).item() == pytest.approx(cross**2 / (one * two) / 9, rel=1e-5)  # of 3 x 3 padded pixels
    ramp = torch.arange(4.0).expand(1, 2, 3, 4)
    assert roughness(ramp).item() == pytest.approx(0.5)
