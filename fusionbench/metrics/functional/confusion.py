"""Confusion of classes, and the accuracies drawn from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def confusion_matrix(truth: Tensor, guess: Tensor, classes: int) -> Tensor:
    """Counts [K,K] int64, rows are the truth, columns the guess; a truth below 0 does not count.

    Args:
        truth, guess: class indices of one shape; guesses lie in 0..K-1.
        classes: K.

    Raises:
        ValueError: shapes that differ, or an index of K or more.
    """
    if truth.shape != guess.shape:
        raise ValueError(f"truth {tuple(truth.shape)} and guess {tuple(guess.shape)} must have one shape")
    counted = truth >= 0
    truth, guess = truth[counted], guess[counted]
    if len(truth) and (int(truth.max()) >= classes or int(guess.max()) >= classes or int(guess.min()) < 0):
        raise ValueError(f"class indices must lie in 0..{classes - 1}")
    return torch.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes).cpu()


@dataclass(frozen=True)
class Accuracies:
    """What a confusion matrix says, as shares of 1; NaN where it says nothing.

    Args:
        overall: trace / n (OA).
        average: mean recall over the classes that occur in the truth (AA).
        kappa: Cohen's: (OA - pe) / (1 - pe), pe from the margins.
        f1: mean F1 over the classes that occur in the truth.
        recall, precision, f1_of: per class [K]; recall is the producer's, precision the user's accuracy. A class that
            occurs but is never guessed has precision and F1 0.
    """

    overall: float
    average: float
    kappa: float
    f1: float
    recall: list[float]
    precision: list[float]
    f1_of: list[float]


def accuracies(counts: Tensor) -> Accuracies:
    """Accuracies of a confusion matrix [K,K], rows truth (Congalton, Remote Sensing of Environment 37, 1991)."""
    table = counts.double()
    rows, columns, hits = table.sum(1), table.sum(0), table.diagonal()
    total = float(table.sum())
    if total == 0:
        nothing = [math.nan] * len(table)
        return Accuracies(math.nan, math.nan, math.nan, math.nan, nothing, nothing, nothing)
    overall = float(hits.sum()) / total
    chance = float((rows * columns).sum()) / total**2
    occurs = rows > 0
    recall = torch.where(occurs, hits / rows.clamp(min=1), math.nan)
    precision = torch.where(columns > 0, hits / columns.clamp(min=1), torch.where(occurs, 0.0, math.nan).double())
    f1 = torch.where(occurs | (columns > 0), 2 * hits / (rows + columns).clamp(min=1), math.nan)
    kappa = math.nan if chance >= 1 else (overall - chance) / (1 - chance)
    return Accuracies(
        overall,
        float(recall[occurs].mean()),
        kappa,
        float(f1[occurs].mean()),
        recall.tolist(),
        precision.tolist(),
        f1.tolist(),
    )
