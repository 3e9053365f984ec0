"""Errors of predicted numbers, over all that have a target."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics.functional import pearson_corrcoef, r2_score


def _counted(guess: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Those whose target is there, as float64 vectors.

    Raises:
        ValueError: shapes that differ.
    """
    if guess.shape != truth.shape:
        raise ValueError(f"prediction {tuple(guess.shape)} and target {tuple(truth.shape)} must have one shape")
    there = ~torch.isnan(truth)
    return guess[there].double(), truth[there].double()


def root_mean_square_error(guess: Tensor, truth: Tensor) -> float:
    """sqrt(mean (y - x)^2) in the target's unit; NaN targets do not count, NaN where there is none."""
    y, x = _counted(guess, truth)
    return float((y - x).square().mean().sqrt()) if len(x) else math.nan


def mean_absolute_error(guess: Tensor, truth: Tensor) -> float:
    """mean |y - x| in the target's unit; see `root_mean_square_error`."""
    y, x = _counted(guess, truth)
    return float((y - x).abs().mean()) if len(x) else math.nan


def bias(guess: Tensor, truth: Tensor) -> float:
    """mean (y - x) in the target's unit; see `root_mean_square_error`."""
    y, x = _counted(guess, truth)
    return float((y - x).mean()) if len(x) else math.nan


def r2(guess: Tensor, truth: Tensor) -> float:
    """1 - SSE / SST (torchmetrics), below 0 for what is worse than the mean; NaN for a constant target."""
    y, x = _counted(guess, truth)
    return math.nan if len(x) < 2 or bool((x == x[0]).all()) else float(r2_score(y, x))


def pearson_r2(guess: Tensor, truth: Tensor) -> float:
    """Squared correlation (torchmetrics): blind to bias and gain, so never called R2; NaN where a side is constant."""
    y, x = _counted(guess, truth)
    if len(x) < 2 or bool((x == x[0]).all()) or bool((y == y[0]).all()):
        return math.nan
    return float(pearson_corrcoef(y, x)) ** 2


def shares_error(guess: Tensor, truth: Tensor) -> float:
    """Half the sum over classes of |guessed - true share|, mean over places: [n,K] each, rows sum to 1 -> 0..1.

    It is the share of a place that is given to the wrong class.
    """
    if guess.shape != truth.shape or guess.ndim != 2:
        raise ValueError(f"shares [n,K] of one shape, got {tuple(guess.shape)} and {tuple(truth.shape)}")
    there = ~torch.isnan(truth).any(dim=1)
    wrong = (guess[there].double() - truth[there].double()).abs().sum(dim=1) / 2
    return float(wrong.mean()) if len(wrong) else math.nan
