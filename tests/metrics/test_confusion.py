"""Accuracies against a case worked by hand, scikit-learn and torchmetrics."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_cohen_kappa

from fusionbench.metrics.functional import accuracies, confusion_matrix


def test_by_hand() -> None:
    truth = torch.tensor([0, 0, 0, 1, 1, 2, -1])
    guess = torch.tensor([0, 0, 1, 1, 1, 0, 2])
    counts = confusion_matrix(truth, guess, 4)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    found = accuracies(counts)
    assert found.overall == pytest.approx(4 / 6)
    assert found.average == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.kappa == pytest.approx((4 / 6 - 15 / 36) / (1 - 15 / 36))
    assert found.recall[:3] == pytest.approx([2 / 3, 1, 0])
    assert math.isnan(found.recall[3])
    assert found.precision[:3] == pytest.approx([2 / 3, 2 / 3, 0])
    assert found.f1_of[:3] == pytest.approx([2 / 3, 4 / 5, 0])
    assert found.f1 == pytest.approx((2 / 3 + 4 / 5) / 3)


def test_equals_libraries_of_other_hands() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 6, (500,), generator=generator)
    guess = torch.where(
        torch.rand(500, generator=generator) < 0.6, truth, torch.randint(0, 6, (500,), generator=generator)
    )
    counts = confusion_matrix(truth, guess, 6)
    assert counts.tolist() == sklearn_metrics.confusion_matrix(truth, guess).tolist()
    found = accuracies(counts)
    assert found.overall == pytest.approx(float(multiclass_accuracy(guess, truth, 6, average="micro")))
    assert found.average == pytest.approx(sklearn_metrics.balanced_accuracy_score(truth, guess))
    assert found.kappa == pytest.approx(sklearn_metrics.cohen_kappa_score(truth, guess))
    assert found.kappa == pytest.approx(float(multiclass_cohen_kappa(guess, truth, 6)), abs=1e-5)
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(truth, guess)
    assert found.precision == pytest.approx(precision.tolist())
    assert found.recall == pytest.approx(recall.tolist())
    assert found.f1_of == pytest.approx(f1.tolist())
    assert found.f1 == pytest.approx(sklearn_metrics.f1_score(truth, guess, average="macro"))


def test_empty_and_wrong() -> None:
    found = accuracies(confusion_matrix(torch.tensor([-1]), torch.tensor([0]), 3))
    assert math.isnan(found.overall)
    assert math.isnan(found.kappa)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        confusion_matrix(torch.tensor([3]), torch.tensor([0]), 3)
    with pytest.raises(ValueError, match="one shape"):
        confusion_matrix(torch.tensor([0]), torch.tensor([0, 1]), 3)
