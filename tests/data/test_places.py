"""Places of a city: reader, splits that share no ground, batches, the evaluator on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from fusionbench.classical.classification import Majority, RandomForest
from fusionbench.data.districts import Split, split_places
from fusionbench.data.readers.user_density import read_user_density
from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import PlaceClassification

from . import composing
from .twins_places import write_user_density


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "tencent_user_density"
    write_user_density(root)
    return root


def module(twin: Path, *overrides: str) -> Any:
    return composing.module("tencent_user_density", twin.parent, *overrides)


# --- reader ---


def test_both_files_are_read_into_one_order(tmp_path: Path) -> None:
    expected = write_user_density(tmp_path)
    found = read_user_density(tmp_path, 7)
    for subset, count in (("train", 84), ("test", 28)):
        assert found[subset].series.shape == (count, 48)
        np.testing.assert_allclose(found[subset].series, expected[subset].reshape(-1, 48), rtol=1e-6)
        assert np.bincount(found[subset].classes).tolist() == [count // 7] * 7


def test_the_real_files_agree_once_in_order(shared: Path) -> None:
    found = read_user_density(shared / "data" / "geospatial_big_data" / "tencent_user_density", 7)
    assert [len(found[k].classes) for k in ("train", "test")] == [2100, 350]
    means = [found[k].series.astype(np.float64).mean(0) for k in ("train", "test")]
    assert np.corrcoef(*means)[0, 1] > 0.99


def spoil(root: Path, name: str, change) -> None:
    path = root / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("RTUD_Feature_Training.csv", lambda t: t.split("\n", 1)[1], "has 83 points"),
        ("RTUD_Feature_Test.csv", lambda t: "\n".join(r.rsplit(",", 1)[0] for r in t.split("\n")), "47 columns"),
        ("RTUD_Feature_Test.csv", lambda t: t.replace(",", ",nan,", 1).replace(",nan,", ",nan", 1), "table|finite"),
        ("RTUD_Feature_Training.csv", lambda t: "-1" + t[t.index(",") :], "below 0"),
        ("Class_TestSample.csv", lambda t: t.replace("6", "7"), "from 0 to 6"),
        ("Class_TestSample.csv", lambda t: t.replace("0", "1", 1), "point 1 has class 0"),
        ("TestSample.csv", lambda t: t.split("\n", 1)[1], "names the columns"),
        ("TestSample.csv", lambda t: t.replace(",", ";"), "not a table of numbers"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, change, message: str) -> None:
    write_user_density(tmp_path)
    spoil(tmp_path, name, change)
    with pytest.raises(DataError, match=message):
        read_user_density(tmp_path, 7)


def test_a_file_in_the_other_order_is_refused(tmp_path: Path) -> None:
    write_user_density(tmp_path)
    days = np.loadtxt(tmp_path / "RTUD_Feature_Training.csv", delimiter=",").reshape(-1, 2, 24)
    np.savetxt(tmp_path / "RTUD_Feature_Training.csv", days.swapaxes(1, 2).reshape(-1, 48), "%.9g", ",")
    with pytest.raises(DataError, match="published order"):
        read_user_density(tmp_path, 7)


def test_a_missing_file(tmp_path: Path) -> None:
    write_user_density(tmp_path)
    (tmp_path / "TestSample.csv").unlink()
    with pytest.raises(DataError, match=r"no TestSample\.csv"):
        read_user_density(tmp_path, 7)


# --- splits ---


@pytest.mark.parametrize("fold", range(4))
def test_districts_share_no_ground(twin: Path, fold: int) -> None:
    split = split_places(read_user_density(twin, 7), Split(fold=fold, guard=800))
    metres = {k: np.concatenate([p.metres for p in scenes.values()]) for k, scenes in split.subsets.items()}
    assert len(split.subsets["test"]) == 4
    for first, second in (("train", "test"), ("train", "val"), ("val", "test")):
        assert cdist(metres[first], metres[second]).min() > 800


def test_folds_test_every_place_once(twin: Path) -> None:
    rows = [
        row
        for fold in range(4)
        for scene in split_places(read_user_density(twin, 7), Split(fold=fold)).rows["test"].values()
        for row in scene
    ]
    assert sorted(rows) == list(range(112))


def test_published_files_as_they_are(twin: Path) -> None:
    split = split_places(read_user_density(twin, 7), Split(by="published", val=0.25))
    assert {k: len(v[k].classes) for k, v in split.subsets.items()} == {"train": 63, "val": 21, "test": 28}
    assert "neighbours" in split.notes[0]


def test_splits_that_cannot_be(twin: Path) -> None:
    for settings in ({"by": "random"}, {"fold": 4}, {"guard": -1}, {"by": "published"}, {"districts": (0, 4)}):
        with pytest.raises(ConfigError, match=r"data\.split"):
            Split(**settings)
    with pytest.raises(DataError, match="no train places"):
        split_places(read_user_density(twin, 7), Split(guard=10**6))
    with pytest.raises(ConfigError, match="some must train"):
        split_places(read_user_density(twin, 7), Split(val=12))


# --- batches ---


def test_batches(twin: Path) -> None:
    data = module(twin, "data.split.guard=0", "data.batch_size=8")
    batch = next(iter(data.train_dataloader()))
    assert batch["activity"].shape == (8, 48)
    assert batch["position"].shape == (8, 2)
    assert batch["target"].dtype == torch.int64
    places, _ = data.training_places()
    torch.testing.assert_close(places["activity"].mean(0), torch.zeros(48), atol=1e-4, rtol=0)
    (loader,) = data.test_dataloader()
    scenes = list(loader)
    assert [scene["scene"] for scene in scenes] == [[f"district-{i}-{j}"] for i, j in ((1, 1), (2, 4), (3, 3), (4, 2))]
    assert all(len(scene["activity"]) == len(scene["target"]) == 7 for scene in scenes)
    assert sum(data.counts("test")) == 28
    assert not data.mixed


def test_the_split_is_part_of_the_fingerprint(twin: Path) -> None:
    prints = {module(twin, f"data.split.{key}").fingerprint for key in ("fold=0", "fold=1", "guard=0")}
    assert len(prints) == 3


# --- evaluator ---


def evaluator(data) -> PlaceClassification:
    rows = {"majority": {"title": "Majority", "kind": "classical", "method": Majority(7)}}
    forest = {"random_forest": {"title": "Forest", "method": lambda **k: RandomForest(trees=20, **k)}}
    return PlaceClassification(
        classes=data.classes, modalities={"activity": "density"}, references=forest, baselines=rows
    )


def test_scores_of_a_perfect_and_of_a_fixed_answer(twin: Path, tmp_path: Path) -> None:
    data = module(twin, "data.split.by=published", "data.split.val=0.2")
    scores = evaluator(data)
    scores.prepare(data, lambda batch: batch, lambda ratio: lambda batch: batch)
    scores.begin(["test"], tmp_path, "method")
    scene = data.test_dataset("test")[0]
    right = torch.nn.functional.one_hot(scene["target"], 7).float() * 20
    assert scores.score(scene, right)["OA"] == [100.0]
    scores.observe("test", scene, right, 0.1)
    rows = {row.method: row.values for row in scores._seen[0].rows}
    assert rows["method"]["OA"] == 100
    assert rows["majority"]["OA"] == pytest.approx(100 / 7)
    assert rows["majority"]["kappa"] == 0
    assert rows["random_forest_activity"]["OA"] > 80  # its series tell the class
    assert (tmp_path / "figures" / "test-test-method.png").is_file()
    with pytest.raises(DataError, match="for 28 places and 7 classes"):
        scores.observe("test", scene, right[:3], None)
