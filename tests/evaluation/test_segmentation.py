"""Masks: counts summed over scenes, against a case worked by hand and scikit-learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score
from torch import Tensor

from fusionbench.classical.threshold import Threshold
from fusionbench.errors import DataError
from fusionbench.evaluation import Segmentation
from fusionbench.evaluation.segmentation import of_target
from fusionbench.metrics.functional import confusion_matrix


def evaluator(folder: Path) -> Segmentation:
    found = Segmentation(classes=["background", "building"], modalities={"optical": "optical"}, figures={"scenes": 0})
    found.begin(["test"], folder, "method")
    return found


def scene(truth: Tensor, name: str) -> dict:
    return {"optical": torch.rand(1, 3, *truth.shape[-2:]), "target": truth[None], "scene": [name]}


def test_by_hand() -> None:
    values = of_target(torch.tensor([[5, 1], [2, 4]]))  # rows truth: TN 5, FP 1, FN 2, TP 4
    assert values["IoU"] == pytest.approx(100 * 4 / 7)
    assert values["F1"] == pytest.approx(100 * 8 / 11)
    assert values["precision"] == pytest.approx(80)
    assert values["recall"] == pytest.approx(100 * 4 / 6)
    assert values["OA"] == pytest.approx(75)
    empty = of_target(torch.tensor([[9, 0], [0, 0]]))
    assert (empty["IoU"], empty["F1"], empty["OA"]) == (0, 0, 100)


def test_sums_over_scenes_are_not_means_over_scenes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found, truths, guesses = evaluator(tmp_path), [], []
    for name, share in (("a", 0.1), ("b", 0.7)):
        truth = (torch.rand(12, 12) < share).long()
        logits = torch.randn(1, 2, 12, 12)
        logits[:, 1] += 2 * truth
        found.observe("test", scene(truth, name), logits, 0.1)
        truths.append(truth.flatten())
        guesses.append(logits.argmax(1).flatten())
    rows = [row for item in found._seen for row in item.rows]
    pooled = found._pooled("test", rows)
    truth, guess = torch.cat(truths).numpy(), torch.cat(guesses).numpy()
    assert pooled["IoU"] == pytest.approx(100 * jaccard_score(truth, guess))
    assert pooled["F1"] == pytest.approx(100 * f1_score(truth, guess))
    means = sum(row.values["IoU_image"] for row in rows) / 2
    assert abs(means - pooled["IoU"]) > 1
    assert "IoU_image" not in pooled


def test_logits_of_one_channel_and_of_two_agree(tmp_path: Path) -> None:
    found, truth = evaluator(tmp_path), torch.randint(0, 2, (1, 6, 6))
    one = torch.randn(1, 1, 6, 6)
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    batch = {"target": truth}
    assert found.score(batch, one) == found.score(batch, two)
    counts = confusion_matrix(truth.flatten(), (one > 0).long().flatten(), 2)
    assert found.score(batch, one)["IoU"] == [of_target(counts)["IoU"]]


def test_a_height_alone(tmp_path: Path) -> None:
    row = {"height": {"title": "Height", "kind": "classical", "method": Threshold("height", 0.5)}}
    found = Segmentation(
        classes=["background", "building"], modalities={"height": "LiDAR"}, figures={"scenes": 0}, baselines=row
    )
    found.begin(["test"], tmp_path, "method")
    truth = torch.tensor([[0, 1], [1, 0]])
    batch = {"height": torch.tensor([[[[0.4, 0.6], [0.2, 0.9]]]]), "target": truth[None], "scene": ["a"]}
    found.observe("test", batch, torch.zeros(1, 2, 2, 2), None)
    values = {row.method: row.values for row in found._seen[0].rows}
    assert values["height"]["IoU"] == pytest.approx(100 / 3)
    assert values["height"]["OA"] == 50


def test_what_is_no_mask(tmp_path: Path) -> None:
    found = evaluator(tmp_path)
    with pytest.raises(DataError, match="for a mask of"):
        found.observe("test", scene(torch.zeros(4, 4).long(), "a"), torch.zeros(1, 3, 4, 4), None)
    with pytest.raises(DataError, match="two classes"):
        Segmentation(classes=["a", "b", "c"], modalities={})
