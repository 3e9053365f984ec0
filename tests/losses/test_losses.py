"""Loss terms against cases worked by hand, and against torch's and torchmetrics' own."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional
from torchmetrics.functional.image import spectral_angle_mapper

from fusionbench.errors import ConfigError
from fusionbench.losses import L1, MSE, SAM, Charbonnier, Huber, LossSet, Ramp, Steps


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)


@pytest.mark.parametrize(
    ("term", "reference"),
    [
        (MSE(), functional.mse_loss),
        (L1(), functional.l1_loss),
        (Huber(delta=0.2), lambda a, b: functional.huber_loss(a, b, delta=0.2)),
    ],
    ids=["mse", "l1", "huber"],
)
def test_terms_equal_those_of_torch(term, reference, pair):
    a, b = pair
    torch.testing.assert_close(term({"output": a}, {"target": b}, None), reference(a, b))


def test_charbonnier_by_hand():
    a, b = torch.full((1, 1, 1, 2), 3.0), torch.tensor([[[[3.0, 7.0]]]])
    value = Charbonnier(eps=3.0)({"output": a}, {"target": b}, None)
    assert value.item() == pytest.approx((3.0 + 5.0) / 2)


def test_sam_equals_torchmetrics_and_has_a_gradient_at_equal_spectra(pair):
    a, b = pair
    value = SAM()({"output": a.double()}, {"target": b.double()}, None)
    torch.testing.assert_close(value, spectral_angle_mapper(a.double(), b.double()))
    same = a.clone().requires_grad_()
    SAM()({"output": same}, {"target": a}, None).backward()
    assert torch.isfinite(same.grad).all()
    orthogonal = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1), torch.tensor([0.0, 5.0]).reshape(1, 2, 1, 1)
    angle = SAM()({"output": orthogonal[0]}, {"target": orthogonal[1]}, None)
    assert angle.item() == pytest.approx(math.pi / 2)


def test_black_pixels_have_no_angle():
    black = torch.zeros(1, 3, 2, 2, requires_grad=True)
    value = SAM()({"output": black}, {"target": torch.ones(1, 3, 2, 2)}, None)
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(black.grad).all()


def test_invalid_pixels_and_the_border_do_not_count():
    output, target = torch.zeros(1, 2, 6, 6), torch.zeros(1, 2, 6, 6)
    target[..., 0, :] = 100.0  # border
    target[..., 2, 2] = 100.0  # not valid
    target[..., 3, 3] = 1.0
    valid = torch.ones(1, 1, 6, 6, dtype=torch.bool)
    valid[..., 2, 2] = False
    loss, _ = LossSet({"mse": MSE()})({"output": output}, {"target": target, "valid": valid}, border=1)
    assert loss.item() == pytest.approx(1 / 15)
    with pytest.raises(ConfigError, match="loss_border=3: leaves nothing of a patch of 6 x 6"):
        LossSet({"mse": MSE()})({"output": output}, {"target": target}, border=3)


def test_a_set_weighs_its_terms_and_weights_may_follow_the_step(pair):
    a, b = pair
    losses = LossSet({"mse": MSE(), "l1": L1()}, {"mse": 2.0, "l1": Ramp(first=0.0, last=1.0, start=10, end=20)})
    mse, l1 = functional.mse_loss(a, b), functional.l1_loss(a, b)
    for step, weight in ((0, 0.0), (15, 0.5), (30, 1.0)):
        total, values = losses({"output": a}, {"target": b}, step=step)
        torch.testing.assert_close(total, 2 * mse + weight * l1)
        assert list(values) == ["mse", "l1"]
    steps = Steps({0: 1.0, 100: 0.1})
    assert (steps(0), steps(99), steps(100)) == (1.0, 1.0, 0.1)


def test_terms_name_what_they_read():
    losses = LossSet({"a": MSE(role="guide"), "b": L1(output="coarse", role="lr")})
    assert losses.roles == {"guide", "lr"}
    assert losses.outputs == {"output", "coarse"}
    assert not losses.supervised
    assert LossSet({"mse": MSE()}).supervised


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        ({}, None, "loss.terms is empty"),
        ({"mse": MSE()}, {"l1": 1.0}, r"loss\.weights\.l1: there is no such term; terms are mse"),
        ({"mse": torch.nn.MSELoss()}, None, r"loss\.terms\.mse: MSELoss is no loss term"),
    ],
)
def test_a_wrong_set_is_refused(terms, weights, message):
    with pytest.raises(ConfigError, match=message):
        LossSet(terms, weights)
