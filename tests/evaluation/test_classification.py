"""The classification evaluators: accuracies on a scene by hand, findings, withheld modalities; how scenes are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fusionbench.classical.classification import RandomForest
from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import Classification, MissingModality
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.schema import DataInfo, ModelInfo, read_metrics, read_scenes
from fusionbench.networks.classification import MDLRS
from fusionbench.regimes import PixelClassification
from fusionbench.regimes.pixels import class_weights, windows_at

CLASSES = ["grass", "roof", "road"]


class Data:
    """What an evaluator asks of a data module."""

    classes = CLASSES

    def training_pixels(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        labels = np.repeat([0, 1, 2], 10)
        noise = np.random.default_rng(0).normal(0, 0.01, (30, 7))
        values = (noise + labels[:, None]).astype(np.float32)
        return {"hs": values[:, :5], "aux": values[:, 5:]}, labels

    def counts(self, subset: str) -> list[int]:
        return [10, 10, 10]

    def notes(self) -> list[str]:
        return ["leaky split: told"]


def batch(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 3, (8, 9))
    image = torch.from_numpy(np.maximum(labels, 0)).float()[None, None] + 0.01
    return {
        "hs": image.expand(1, 5, 8, 9).clone(),
        "aux": image.expand(1, 2, 8, 9).clone(),
        "target": torch.from_numpy(labels)[None],
        "asked": torch.from_numpy(labels >= 0)[None, None],
        "window": torch.tensor([1]),
        "padding": ["symmetric"],
        "scaling": ["none"],
        "scene": [f"s{seed}"],
    }


def scores_of(guess: Tensor) -> Tensor:
    return nn.functional.one_hot(guess.clamp(min=0), 3).permute(0, 3, 1, 2).float()


def evaluator(kind: type[Classification] = Classification, **options: Any) -> Any:
    references = {"forest": {"title": "Forest", "method": lambda **node: RandomForest(trees=5, **node)}}
    return kind(classes=CLASSES, modalities={"hs": "HS", "aux": "LiDAR"}, references=references, **options)


def facts() -> RunFacts:
    return RunFacts("run", 0, DataInfo("houston2013", "Houston"), ModelInfo("mine", "Mine"))


def test_a_scene_by_hand(tmp_path: Path) -> None:
    judge = evaluator()
    judge.prepare(Data(), lambda given: scores_of(given["target"]), lambda ratio: None)
    judge.begin(["test"], tmp_path, "mine")
    scene = batch()
    guess = scene["target"].clone()
    row, column = (guess[0] == 1).nonzero()[0].tolist()
    guess[0, row, column] = 2  # one roof is called a road
    judge.observe("test", scene, scores_of(guess), 0.1)
    metrics = judge.finish(tmp_path, facts())
    counted = int((scene["target"] >= 0).sum())
    roofs = int((scene["target"] == 1).sum())
    own = metrics.sets["test"].rows["mine"].values
    assert own["OA"].mean == pytest.approx(100 * (counted - 1) / counted)
    assert own["AA"].mean == pytest.approx(100 * (2 + (roofs - 1) / roofs) / 3)
    assert metrics.sets["test"].rows["forest_stack"].values["OA"].mean == 100
    assert set(metrics.sets["test"].rows) == {"mine", "forest_hs", "forest_aux", "forest_stack"}
    (line,) = [row for row in read_scenes(tmp_path) if row.method == "mine"]
    assert line.values["K_1_2"] == 1
    assert metrics.findings[0].rows[1][:3] == ["roof", "10", str(roofs)]
    assert "leaky split: told" in metrics.sets["test"].notes
    for name in ("legend", "test-confusion", "test-s0-reference", "test-s0-mine", "test-s0-hs"):
        assert (tmp_path / "figures" / f"{name}.png").is_file()
    assert "Confusion matrix of Mine" in (tmp_path / "report.html").read_text()
    assert read_metrics(tmp_path) == metrics


def test_outputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    judge = evaluator()
    judge.prepare(Data(), lambda given: scores_of(given["target"]), lambda ratio: None)
    judge.begin(["test"], tmp_path, "mine")
    with pytest.raises(DataError, match="3 classes"):
        judge.observe("test", batch(), torch.zeros(1, 4, 8, 9), None)
    hidden = batch() | {"asked": torch.zeros(1, 1, 8, 9, dtype=torch.bool)}
    with pytest.raises(DataError, match="were not classified"):
        judge.observe("test", hidden, torch.zeros(1, 3, 8, 9), None)
    with pytest.raises(ConfigError, match="two or more"):
        Classification(classes=["one"], modalities={"hs": "HS"})
    with pytest.raises(ConfigError, match="2 colours for 3"):
        Classification(classes=CLASSES, modalities={"hs": "HS"}, colours=["#000000", "#ffffff"])


def regime(**settings: Any) -> PixelClassification:
    torch.manual_seed(0)
    network = MDLRS({"hs": 5, "aux": 2}, 3, **settings)
    made = PixelClassification(network, loss=None, optimizer=None)  # type: ignore[arg-type]
    made.attach(None, {"card": {"id": "mine", "name": "Mine", "bind": {}}})
    return made.eval()


def test_each_modality_withheld_each_way(tmp_path: Path) -> None:
    method = regime(net="fc", fusion="middle")
    judge = evaluator(MissingModality, fills=["zeros", "mean", "own"])
    judge.prepare(Data(), method.fuse, lambda ratio: None)
    judge.begin(["test"], tmp_path, "mine")
    before = {k: v.clone() for k, v in method.network.state_dict().items()}
    for seed in range(2):
        judge.observe("test", batch(seed), method.fuse(batch(seed)), None)
    after = method.network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)  # statistics of the batch leave nothing behind
    metrics = judge.finish(tmp_path, facts())
    sets = {f"test@missing={role}/{fill}" for role in ("hs", "aux") for fill in ("zeros", "mean", "own")}
    assert set(metrics.sets) == {"test", *sets}
    assert set(metrics.sets["test@missing=aux/own"].rows) == {"mine"}
    finding = metrics.findings[-1]
    assert [row[:2] for row in finding.rows][:2] == [["HS", "zeros"], ["HS", "mean"]]
    with pytest.raises(ConfigError, match="zeros, mean, own"):
        evaluator(MissingModality, fills=["noise"])
    with pytest.raises(ConfigError, match="hs, aux"):
        evaluator(MissingModality, controls={"sar": "x"})


def test_control_stands_beside_and_must_have_seen_the_same_pixels(tmp_path: Path) -> None:
    method = regime(net="fc", fusion="middle")
    for name, seed in (("control", 0), ("other", 1)):
        judge = evaluator()
        judge.prepare(Data(), method.fuse, lambda ratio: None)
        (tmp_path / name).mkdir()
        judge.begin(["test"], tmp_path / name, "mine")
        judge.observe("test", batch(seed), scores_of(batch(seed)["target"]), None)
        judge.finish(tmp_path / name, facts())
    for name in ("control", "other"):
        judge = evaluator(MissingModality, fills=["zeros"], controls={"aux": str(tmp_path / name)})
        judge.prepare(Data(), method.fuse, lambda ratio: None)
        judge.begin(["test"], tmp_path, "mine")
        judge.observe("test", batch(0), method.fuse(batch(0)), None)
        if name == "other":
            with pytest.raises(DataError, match="other pixels"):
                judge.finish(tmp_path, facts())
        else:
            row = judge.finish(tmp_path, facts()).findings[-1].rows[1]
            assert (row[0], row[3], row[2]) == ("LiDAR", "100.00", row[2])


@pytest.mark.parametrize("padding", ["symmetric", "zero"])
def test_scenes_are_cut_as_training_windows_are(padding: str) -> None:
    method = regime(net="cnn", fusion="early")
    scene = batch() | {"window": torch.tensor([7]), "padding": [padding]}
    scene["hs"] = torch.rand(1, 5, 8, 9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = method.fuse(scene)
    mode = "symmetric" if padding == "symmetric" else "constant"
    row, column = (scene["target"][0] >= 0).nonzero()[-1].tolist()
    windows = {
        role: torch.from_numpy(np.pad(scene[role][0].numpy(), ((0, 0), (3, 3), (3, 3)), mode))[
            None, :, row : row + 7, column : column + 7
        ]
        for role in ("hs", "aux")
    }
    with torch.no_grad():
        torch.testing.assert_close(whole[:, :, row, column], method.network(**windows)["output"])
    assert (whole[:, :, scene["target"][0] < 0] == 0).all()
    assert windows_at(scene["hs"], torch.tensor([[1, 2]]), 3).equal(scene["hs"][:, :, 1:4, 2:5])


def test_scene_of_another_scaling_is_refused() -> None:
    method = regime(net="fc", fusion="middle")
    method.facts["config"] = {"data": {"scaling": "min_max", "window": 1, "padding": "symmetric"}}
    with pytest.raises(DataError, match=r"trained with scaling=min_max; data\.scaling=min_max"):
        method.fuse(batch())


def test_class_weights_by_hand() -> None:
    assert class_weights([10, 30, 0], "inverse") == pytest.approx([2, 2 / 3, 0])
    assert class_weights([10, 30, 50], "median") == pytest.approx([3, 1, 0.6])
    with pytest.raises(ConfigError, match="none, inverse, median"):
        class_weights([1, 1], "square")
