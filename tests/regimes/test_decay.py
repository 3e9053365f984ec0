"""The demo's learning rate."""

from __future__ import annotations

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.regimes.training import hold_then_decay


def test_the_rate_is_held_and_falls_to_zero():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler, rates = hold_then_decay(optimizer, 4, hold=0.5), []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4, 0, 0])


def test_a_training_without_a_number_of_steps_is_refused():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    with pytest.raises(ConfigError, match=r"trainer\.max_steps=null"):
        hold_then_decay(optimizer, None)
