"""What a supervised regime does with a batch: roles, ranges of values, losses, precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from fusionbench.errors import ConfigError, DataError
from fusionbench.losses import L1, MSE, LossSet
from fusionbench.regimes import Supervised, Unsupervised
from fusionbench.regimes.values import ValueRange
from tests.regimes import small


class Record(nn.Module):
    """Returns the upsampled input and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, lr, guide, cloud=None):
        self.seen = {"lr": lr, "guide": guide, "cloud": cloud}
        up = lr.repeat_interleave(small.RATIO, -1).repeat_interleave(small.RATIO, -2)
        return {"output": up * self.weight, "coarse": lr}


def batch(count=2):
    rng = np.random.default_rng(0)
    return default_collate([small.sample(rng, str(i)) for i in range(count)])


def regime(**settings):
    made = Supervised(Record(), LossSet({"mse": MSE()}), torch.optim.SGD, **settings)
    made.batches_done = lambda: 1
    return made


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [(None, 0, 1), ({"scale": 255.0}, 0, 255), ({"scale": 2.0, "offset": -1.0}, -1, 1), ({"scale": "dn"}, 0, 255)],
)
def test_a_network_sees_its_own_range_and_the_result_is_in_the_batch_s(settings, low, high):
    made, data = regime(value_range=settings), batch()
    fused = made.fuse(data)
    seen = made.network.seen["lr"]
    torch.testing.assert_close(seen, data["lr"] * (high - low) + low)
    up = data["lr"].repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(fused, up)


def test_the_loss_is_computed_in_the_network_s_range():
    data = batch()
    plain = regime().training_step(data, 0)["loss"]
    scaled = regime(value_range={"scale": 10.0}).training_step(data, 0)["loss"]
    torch.testing.assert_close(scaled, 100 * plain)


@pytest.mark.parametrize("settings", [{"scale": 0}, {"scale": "raw"}, {"factor": 2.0}])
def test_a_wrong_value_range_is_refused(settings):
    with pytest.raises(ConfigError, match=r"model\.module\.value_range"):
        ValueRange.from_mapping(settings)


def test_optional_roles_are_passed_when_there_and_roles_may_be_bound():
    made, data = regime(), batch()
    made.fuse(data)
    assert made.network.seen["cloud"] is None
    cloud = torch.ones(2, 1, 8, 8)
    made.fuse({**data, "cloud": cloud})
    assert made.network.seen["cloud"] is not None
    made.attach(None, {"card": {"bind": {"guide": "sar"}}})
    made.fuse({**data, "sar": cloud})
    torch.testing.assert_close(made.network.seen["guide"], cloud)


def test_missing_roles_are_named():
    data = batch()
    with pytest.raises(DataError, match="the method needs guide, the batch has lr"):
        regime().fuse({"lr": data["lr"]})
    with pytest.raises(DataError, match="the loss reads target, the training batches have"):
        regime().training_step({"lr": data["lr"], "guide": data["guide"]}, 0)


def test_auxiliary_outputs_reach_the_loss():
    losses = LossSet({"mse": MSE(), "coarse": L1(output="coarse", role="lr")})
    made = Supervised(Record(), losses, torch.optim.SGD)
    made.batches_done = lambda: 1
    step = made.training_step(batch(), 0)
    assert list(step) == ["loss", "mse", "coarse"]
    assert step["coarse"].item() == 0


def test_an_unsupervised_method_needs_no_target():
    data = batch()
    del data["target"]
    losses = LossSet({"coarse": L1(output="coarse", role="lr")})
    made = Unsupervised(Record(), losses, optimizer=torch.optim.SGD)
    made.batches_done = lambda: 1
    assert made.training_step(data, 0)["loss"].item() == 0
    with pytest.raises(ConfigError, match="must not read target"):
        Unsupervised(Record(), LossSet({"mse": MSE()}), optimizer=torch.optim.SGD)


def test_fusing_stays_in_full_precision():
    made, data = small.supervised(), batch()
    plain = made.fuse(data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(made.fuse(data), plain, rtol=0, atol=0)


def test_memory_formats_agree():
    one, other, data = small.supervised(), small.supervised(), batch()
    one.use_memory_format("channels_last")
    torch.testing.assert_close(one.fuse(data), other.fuse(data))
    with pytest.raises(ConfigError, match=r"trainer\.memory_format=sideways: one of channels_last, contiguous"):
        one.use_memory_format("sideways")


@pytest.mark.parametrize(
    "settings", [{"clip_norm": 0}, {"loss_border": -1}, {"scheduler_interval": "minute"}], ids=lambda s: next(iter(s))
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=r"model\.module"):
        regime(**settings)


def test_a_scheduler_that_waits_for_a_value_is_refused():
    with pytest.raises(ConfigError, match="ReduceLROnPlateau is not offered"):
        small.supervised(scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau).configure_optimizers()
