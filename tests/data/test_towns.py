"""Simulated towns: what a place has, and both networks of places on whole towns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionbench.data import towns
from fusionbench.data.districts import TownSplit
from fusionbench.data.readers.towns import TownFiles, read_town
from fusionbench.errors import ConfigError, DataError
from fusionbench.networks.geospatial_big_data import UnifiedDLUFZ

from . import composing
from .twins_places import write_towns

SMALL = ("data.simulation.size=192", "data.simulation.patch=32", "data.simulation.train=[111]")
SMALL += ("data.simulation.val=[]", "data.simulation.test=[311]", "data.batch_size=4")
SETTINGS = {"size": 192, "gsd": 1.2, "patch": 32, "days": "week", "by": "cell", "stretch": "none", "without": []}
SETTINGS |= {"classes": 8, "channels": {"image": 3, "poi": 8, "activity": 168}}


@pytest.fixture(scope="module")
def ufz(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return composing.module("urban_functional_zones", tmp_path_factory.mktemp("none"), *SMALL, "data.by=cell")


def test_a_town_is_a_batch(ufz: Any) -> None:
    (loader,) = ufz.test_dataloader()
    (town,) = list(loader)
    count = len(town["target"])
    assert town["image"].shape == (count, 3, 32, 32)
    assert town["poi"].shape == (count, 8, 32, 32)
    assert town["activity"].shape == (count, 168)
    assert 0 <= float(town["image"].min()) < float(town["image"].max()) <= 1.5
    torch.testing.assert_close(town["mixture"].sum(1), torch.ones(count))
    assert (town["mixture"].argmax(1) == town["target"]).all()
    assert ufz.mixed
    network = UnifiedDLUFZ(3, 8, 8, 4).eval()
    assert network(town["image"], town["poi"], town["position"]).shape == (count, 8)


def test_training_batches_are_places_or_towns(ufz: Any) -> None:
    batch = next(iter(ufz.train_dataloader()))
    assert batch["image"].shape == (4, 3, 32, 32)
    ufz.towns, ufz.batch_size = True, 1
    batch = next(iter(ufz.train_dataloader()))
    ufz.towns, ufz.batch_size = False, 4
    assert batch["image"].ndim == 5
    assert batch["target"].shape == batch["image"].shape[:2]


def test_windows_are_stretched_one_by_one() -> None:
    image = np.stack([np.linspace(0, 1, 48).reshape(3, 4, 4), np.full((3, 4, 4), 5.0)])
    found = towns.stretched(image)
    assert found[0].min() == 0
    assert found[0].max() == 1
    assert (found[1] == 0).all()
    np.testing.assert_allclose(found[0] * 255, np.rint(found[0] * 255), atol=1e-4)


def test_uses_that_are_left_out() -> None:
    whole = towns.simulated_town(SETTINGS, 311, ["activity"])
    some = towns.simulated_town(SETTINGS | {"without": ["other"], "classes": 7}, 311, ["activity"])
    assert len(some["target"]) == (whole["target"] < 7).sum()
    assert some["mixture"].shape[1] == 7
    np.testing.assert_allclose(some["mixture"].sum(1), 1, rtol=1e-5)


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="none, window"):
        towns.simulated_town(SETTINGS | {"stretch": "all"}, 311, ["image"])
    with pytest.raises(DataError, match="have 168"):
        towns.simulated_town(SETTINGS | {"channels": {"activity": 48}}, 311, ["activity"])
    with pytest.raises(DataError, match="have 8 uses"):
        towns.simulated_town(SETTINGS | {"classes": 7}, 311, ["activity"])


def test_user_density_without_files_is_simulated(tmp_path: Path) -> None:
    data = composing.module("tencent_user_density", tmp_path, *SMALL)
    batch = next(iter(data.train_dataloader()))
    assert batch["activity"].shape == (4, 48)
    assert len(data.classes) == 7


# --- files ---

TWIN = ("data.classes=2", "data.class_names=[a,b]", "data.channels.poi=3", "data.channels.activity=24")
TWIN += ("data.simulation.patch=16", "data.batch_size=4")


def test_folders_of_towns_are_read_and_split(tmp_path: Path) -> None:
    write_towns(tmp_path / "urban_functional_zones")
    data = composing.module("urban_functional_zones", tmp_path, *TWIN)
    assert [part.name for subset in ("train", "val", "test") for part in data.parts(subset)] == [
        "town0", "town1", "town2",
    ]  # fmt: skip
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 3, 16, 16)
    assert batch["poi"].shape == (4, 3, 16, 16)
    assert batch["activity"].shape == (4, 24)
    assert not data.mixed
    assert data.summary()["test"] == {"town2": 6}
    grid = composing.module("urban_functional_zones", tmp_path, *TWIN, "data.by=cell")
    assert grid.test_dataset("test")[0]["position"].max() < 4  # 48 x 64 px in windows of 16


def test_windows_lie_around_their_places(tmp_path: Path) -> None:
    write_towns(tmp_path, towns=1)
    (tmp_path / "town0" / "places.csv").write_text("x,y,use\n1041,4959,1\n1000.5,4999.5,0\n", encoding="utf-8")
    (tmp_path / "town0" / "poi.csv").write_text("use,x,y,kind\n7,1041,4959,2\n", encoding="utf-8")
    found = read_town(TownFiles(tmp_path / "town0", 3, 3, 0, 2, 16))
    assert found["position"].tolist() == [[20, 20], [0, 0]]
    assert found["label"].tolist() == [1, 0]
    assert found["poi"][0, 2, 8, 8] == 0  # the point lies in the middle of the window
    assert found["poi"][0, 2, 8, 10] == 4  # two pixels of 2 m
    assert found["poi"][0, 0].min() == pytest.approx(2 * np.hypot(48, 64))  # no point of that kind
    assert found["poi"][1, 2, 0, 0] == pytest.approx(2 * np.hypot(20, 20))  # moved inside: begins at the corner


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("places.csv", "x,y\n1,2\n", "no column use"),
        ("places.csv", "x,y,use\n1041,4959,2\n", "from 0 to 1"),
        ("places.csv", "x,y,use\n900,4959,1\n", r"place 1 \(900, 4959\) lies outside"),
        ("poi.csv", "x,y,kind\n1041,4959,nothing\n", "not a table of numbers"),
        ("activity.csv", "1,2\n", "one line per place"),
        ("image.tif", "no image", "cannot be read"),
    ],
)
def test_bad_towns(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_towns(tmp_path, towns=1)
    (tmp_path / "town0" / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_town(TownFiles(tmp_path / "town0", 3, 3, 24, 2, 16))


def test_towns_too_small_or_of_too_few_bands(tmp_path: Path) -> None:
    write_towns(tmp_path, towns=1)
    with pytest.raises(DataError, match="smaller than a window of 64 px"):
        read_town(TownFiles(tmp_path / "town0", 3, 3, 24, 2, 64))
    with pytest.raises(DataError, match="4 bands, 5 are read"):
        read_town(TownFiles(tmp_path / "town0", 5, 3, 24, 2, 16))


def test_split_of_towns() -> None:
    assert TownSplit(1, 2).subsets(["d", "a", "b", "c"]) == {"train": ["a"], "test": ["d"], "val": ["b", "c"]}
    assert TownSplit(["a"], ["c"]).subsets(["a", "b", "c"])["train"] == ["b"]
    with pytest.raises(DataError, match="none is left"):
        TownSplit(1, 1).subsets(["a", "b"])
    with pytest.raises(DataError, match="x is none of"):
        TownSplit(["x"], 1).subsets(["a", "b"])
    with pytest.raises(ConfigError, match="1 or more"):
        TownSplit(0, 1)
