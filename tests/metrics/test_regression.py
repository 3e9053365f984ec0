"""Errors of numbers: cases worked by hand, and scikit-learn's and SciPy's numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn import metrics

from fusionbench.metrics.functional import (
    bias,
    mean_absolute_error,
    pearson_r2,
    r2,
    root_mean_square_error,
    shares_error,
)


def test_by_hand() -> None:
    guess, truth = torch.tensor([1.0, 4.0, 3.0, 9.0]), torch.tensor([2.0, 2.0, 2.0, math.nan])
    assert root_mean_square_error(guess, truth) == pytest.approx(math.sqrt(2))
    assert mean_absolute_error(guess, truth) == pytest.approx(4 / 3)
    assert bias(guess, truth) == pytest.approx(2 / 3)
    assert math.isnan(r2(guess, truth))  # a constant target
    assert math.isnan(pearson_r2(guess, truth))


def test_other_libraries() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(5, 2, 200)
    y = 0.5 * x + rng.normal(1, 1, 200)
    guess, truth = torch.from_numpy(y), torch.from_numpy(x)
    assert r2(guess, truth) == pytest.approx(metrics.r2_score(x, y))
    assert pearson_r2(guess, truth) == pytest.approx(pearsonr(x, y).statistic ** 2)
    assert root_mean_square_error(guess, truth) == pytest.approx(metrics.root_mean_squared_error(x, y))
    assert mean_absolute_error(guess, truth) == pytest.approx(metrics.mean_absolute_error(x, y))
    assert r2(guess, truth) < 0 < pearson_r2(guess, truth)


def test_large_offsets_lose_nothing() -> None:
    x = torch.arange(100, dtype=torch.float64) + 1e7
    assert r2(x + 1, x) == pytest.approx(1 - 100 / 83325)
    assert pearson_r2(x + 1, x) == pytest.approx(1)


def test_shares() -> None:
    truth = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [math.nan] * 3])
    guess = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert shares_error(guess, truth) == pytest.approx((0.25 + 1) / 2)
    with pytest.raises(ValueError, match="one shape"):
        shares_error(guess, truth[:2])


def test_nothing_counted() -> None:
    none = torch.full((3,), math.nan)
    assert all(math.isnan(f(torch.zeros(3), none)) for f in (root_mean_square_error, mean_absolute_error, bias, r2))
    with pytest.raises(ValueError, match="one shape"):
        bias(torch.zeros(2), none)
