"""Simulated towns: what a place has, and both networks of places on whole towns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionbench.data import simulated_towns
from fusionbench.errors import ConfigError, DataError
from fusionbench.networks.geospatial_big_data import UnifiedDLUFZ

from . import composing

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
    found = simulated_towns.stretched(image)
    assert found[0].min() == 0
    assert found[0].max() == 1
    assert (found[1] == 0).all()
    np.testing.assert_allclose(found[0] * 255, np.rint(found[0] * 255), atol=1e-4)


def test_uses_that_are_left_out() -> None:
    whole = simulated_towns.simulated_town(SETTINGS, 311, ["activity"])
    some = simulated_towns.simulated_town(SETTINGS | {"without": ["other"], "classes": 7}, 311, ["activity"])
    assert len(some["target"]) == (whole["target"] < 7).sum()
    assert some["mixture"].shape[1] == 7
    np.testing.assert_allclose(some["mixture"].sum(1), 1, rtol=1e-5)


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="none, window"):
        simulated_towns.simulated_town(SETTINGS | {"stretch": "all"}, 311, ["image"])
    with pytest.raises(DataError, match="have 168"):
        simulated_towns.simulated_town(SETTINGS | {"channels": {"activity": 48}}, 311, ["activity"])
    with pytest.raises(DataError, match="have 8 uses"):
        simulated_towns.simulated_town(SETTINGS | {"classes": 7}, 311, ["activity"])


def test_user_density_without_files_is_simulated(tmp_path: Path) -> None:
    data = composing.module("tencent_user_density", tmp_path, *SMALL)
    batch = next(iter(data.train_dataloader()))
    assert batch["activity"].shape == (4, 48)
    assert len(data.classes) == 7
