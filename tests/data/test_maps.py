"""Simulated scenes whose truth is a map: what is in them, their batches, and the evaluator of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionbench.classical.regression import PixelRegression
from fusionbench.data import simulated_maps
from fusionbench.data.maps import MapDataModule
from fusionbench.errors import ConfigError, DataError, DataNotFoundError
from fusionbench.evaluation import Regression
from fusionbench.simulation.noise import stream
from fusionbench.simulation.spectral import scene_for

from . import composing

BANDS = {"sensor": "sentinel2", "bands": ["green", "red", "nir"], "registration": 0.2}


@pytest.fixture(scope="module")
def stand() -> dict[str, np.ndarray]:
    return simulated_maps.simulated_maps("biomass", 100, 16, 10.0, {"roles": ["optical", "height"], **BANDS})


def test_biomass_follows_heights(stand: dict[str, np.ndarray]) -> None:
    assert {name: values.shape for name, values in stand.items()} == {
        "optical": (3, 16, 16),
        "height": (2, 16, 16),
        "target": (1, 16, 16),
    }
    assert all(np.isfinite(values).all() for values in stand.values())
    assert 0 <= stand["target"].min() < stand["target"].max() < 600  # t/ha
    assert np.corrcoef(stand["height"][0].ravel(), stand["target"].ravel())[0, 1] > 0.5
    assert (stand["height"][1] >= stand["height"][0]).all()


def test_biomass_of_one_crown_by_hand() -> None:
    scene = scene_for(100, 16, 1.0)
    names = [m.name for m in simulated_maps.library()]
    scene.first[:], scene.mix[:], scene.height[:] = names.index("conifer_tree"), 0, 20
    closed = simulated_maps.biomass(scene, 1.0, 16)
    assert float(np.exp(np.log(closed).mean())) == pytest.approx(3.2 * 0.4 * 20**1.65, rel=0.05)
    scene.height[:] = 0.5  # no tree
    assert simulated_maps.biomass(scene, 1.0, 16).max() == 0


def test_change_is_where_the_class_is_another() -> None:
    scene, other = scene_for(100, 32, 2.0, day=150), scene_for(101, 32, 2.0, day=150)
    after, different = simulated_maps.changed(scene, other, 0.2, stream(1, "test"))
    assert 0.02 < different.mean() < 0.6
    assert (after.classes != scene.classes)[different].all()
    same = (after.first == scene.first) & (after.height == scene.height)
    assert (same | (after.first == other.first)).all()
    assert not (different & same).any()


def test_there_are_no_files_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="simulated only"):
        composing.module("aboveground_biomass", tmp_path, "data.source=files")


def test_two_dates() -> None:
    settings = {"roles": ["before", "after"], "days": [20, 120], "changed": [0.1, 0.2], **BANDS}
    arrays = simulated_maps.simulated_maps("change", 100, 32, 2.0, settings)
    assert arrays["before"].shape == arrays["after"].shape == (3, 32, 32)
    assert arrays["target"].shape == (32, 32)
    assert set(np.unique(arrays["target"])) == {0, 1}
    with pytest.raises(ConfigError, match="one of change, biomass, surface"):
        simulated_maps.simulated_maps("snow", 1, 32, 2.0, settings)
    with pytest.raises(ConfigError, match="pan is none of"):
        simulated_maps.simulated_maps("change", 100, 32, 2.0, settings | {"bands": ["pan"]})


def made(cache: Path, **settings: Any) -> MapDataModule:
    simulation = {"kind": "biomass", "size": 16, "gsd": 10.0, "train": [100], "val": [], "test": [103], **BANDS}
    values = {"optical": {"scale": 10000.0}, "target": {"scale": 100.0}}
    return MapDataModule(
        name="biomass", roles=["optical", "height"], channels={"optical": 3, "height": 2}, simulation=simulation,
        cache=str(cache), values=values, patch=8, patches_per_epoch=32, batch_size=4, **settings,
    )  # fmt: skip


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> MapDataModule:
    return made(tmp_path_factory.mktemp("cache"))


def test_batches(module: MapDataModule, stand: dict[str, np.ndarray]) -> None:
    batch = next(iter(module.train_dataloader()))
    assert batch["optical"].shape == (4, 3, 8, 8)
    assert batch["target"].shape == (4, 1, 8, 8)
    (part,) = module.parts("train")
    np.testing.assert_array_equal(part.entry.array("target"), stand["target"])
    samples, values = module.training_pixels(100)
    assert samples["optical"].shape == (100, 3)
    assert values.max() <= stand["target"].max() / 100
    assert module.val_dataset() is None


def test_scores_in_the_targets_unit(module: MapDataModule, tmp_path: Path) -> None:
    titles = {"mean": "Mean", "linear": "Linear", "forest": "Forest"}
    evaluator = Regression(
        modalities={"optical": "optical", "height": "LiDAR"}, unit="t/ha", scale=100.0, references=titles
    )
    evaluator.prepare(module, lambda batch: batch, lambda ratio: lambda batch: batch)
    evaluator.begin(["test"], tmp_path, "method")
    (loader,) = module.test_dataloader()
    (scene,) = list(loader)
    assert evaluator.score(scene, scene["target"] + 0.03)["RMSE"] == [pytest.approx(3.0)]
    evaluator.observe("test", scene, scene["target"] - 0.03, 0.1)
    rows = {row.method: row.values for row in evaluator._seen[0].rows}
    assert list(rows) == [
        "method", "mean", "linear_optical", "linear_height", "linear_stack", "forest_optical", "forest_height",
        "forest_stack",
    ]  # fmt: skip
    own = rows["method"]
    assert (own["RMSE"], own["bias"], own["signed_bias"]) == (pytest.approx(3), pytest.approx(3), pytest.approx(-3))
    assert own["pearson_r2"] == pytest.approx(1)
    assert rows["forest_height"]["RMSE"] < rows["mean"]["RMSE"]
    assert rows["mean"]["R2"] <= 0
    assert len(list((tmp_path / "figures").iterdir())) == 2 + 9 + 8  # modalities, maps of the target, errors
    with pytest.raises(DataError, match="for a target of"):
        evaluator.observe("test", scene, scene["target"][..., :3], None)


def test_missing_targets_do_not_count(module: MapDataModule, tmp_path: Path) -> None:
    evaluator = Regression(modalities={}, unit="t/ha")
    evaluator.begin(["test"], tmp_path, "method")
    truth, valid = torch.zeros(1, 1, 2, 2), torch.tensor([[[[True, True], [True, False]]]])
    truth[..., 1] = 2
    values, _ = evaluator._measured("test", {"target": truth, "valid": valid}, torch.tensor([[[[1.0, 2], [0, 99]]]]))
    assert values["RMSE"] == pytest.approx((1 / 3) ** 0.5)


def test_a_linear_regression_recovers_its_weights() -> None:
    x, y = torch.rand(50, 2), torch.rand(50, 1)
    row = PixelRegression("linear", ["a", "b"])
    row.fit({"a": x, "b": y}, 2 * x[:, 0] - x[:, 1] + 3 * y[:, 0] + 1)
    found = row(a=torch.tensor([[[[1.0]], [[0.0]]]]), b=torch.ones(1, 1, 1, 1))
    assert float(found) == pytest.approx(6, abs=1e-4)
    with pytest.raises(ConfigError, match="mean, linear, forest"):
        PixelRegression("tree", ["a"])
    with pytest.raises(DataError, match="has not been fitted"):
        PixelRegression("mean", ["a"])(a=torch.ones(1, 1, 2, 2))


def test_radar_instead_of_heights() -> None:
    arrays = simulated_maps.simulated_maps("biomass", 103, 16, 10.0, {"roles": ["optical", "sar"], **BANDS})
    assert arrays["sar"].shape == (2, 16, 16)
    assert "height" not in arrays
    assert -40 < arrays["sar"].min() < arrays["sar"].max() < 20  # dB
