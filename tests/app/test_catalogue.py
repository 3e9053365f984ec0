"""Lists are read from files, over the user's own folders too."""

from __future__ import annotations

import pytest

from fusionbench.app import catalogue
from fusionbench.errors import ConfigError

CARD = "card: {name: Mine, task: pansharpening, regime: supervised, roles: {required: [lr, guide], optional: []}}\n"


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(CARD, encoding="utf-8")
    return tmp_path


def test_user_folders_are_listed(mine):
    path = catalogue.search_path([f"hydra.searchpath=[file://{mine}]"])
    assert catalogue.cards("model", path)["mine"]["name"] == "Mine"
    assert "pannet" in catalogue.cards("model", path)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        catalogue.search_path([f"hydra.searchpath=[file://{tmp_path}/nowhere]"])


def test_a_name_that_exists_twice_is_an_error(mine):
    (mine / "model" / "pannet.yaml").write_text(CARD, encoding="utf-8")
    with pytest.raises(ConfigError, match="exists twice"):
        catalogue.options("model", catalogue.search_path([f"hydra.searchpath=[file://{mine}]"]))


def test_shared_bases_are_hidden_and_filled_in():
    path = catalogue.search_path()
    assert not [name for name in catalogue.options("data", path) if name.startswith("_")]
    assert catalogue.cards("data", path)["worldview3"]["roles"] == ["lr", "guide"]


def test_a_file_that_is_not_yaml_is_named(mine):
    (mine / "model" / "broken.yaml").write_text("card: {name: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken.yaml: is not YAML"):
        catalogue.cards("model", catalogue.search_path([f"hydra.searchpath=[file://{mine}]"]))


def test_unknown_names_come_with_the_nearest():
    message = str(catalogue.unknown("model", "panet", ["pannet", "pnn", "dicnn"]))
    assert "Did you mean model=pannet" in message
    assert "Available: dicnn, pannet, pnn" in message
