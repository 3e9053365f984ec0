"""What is refused before anything is computed, and what is said then."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fusionbench.app import catalogue, check
from fusionbench.errors import ConfigError, DataError, RefusedError

MODEL = {
    "roles": {"required": ["lr", "guide"], "optional": []},
    "bind": {"lr": "lr", "guide": "guide"},
    "constraints": {"guide_bands": [1, 1], "ratio": [2, 4, 8]},
}
DATA = {"card": {"roles": ["lr", "guide"]}, "channels": {"lr": 8, "guide": 1}, "ratio": 4, "patch": 64}


def test_a_fitting_pair_has_no_mismatch():
    assert check.mismatch(MODEL, DATA) is None


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        ({}, {"card": {"roles": ["lr"]}}, "it needs guide, the data set has lr"),
        ({}, {"channels": {"lr": 8, "guide": 3}}, "takes 1 band(s) of guide, the data set has 3"),
        ({"constraints": {"bands": [2, 4]}}, {}, "takes 2 to 4 band(s) of lr, the data set has 8"),
        ({"constraints": {"bands": [9, None]}}, {}, "takes at least 9 band(s) of lr"),
        ({}, {"ratio": 3}, "ratio 2, 4 or 8, the data set has 3"),
        ({"constraints": {"size_multiple": 48}}, {}, "multiple of 48 px, data.patch is 64"),
        ({"constraints": {"needs": ["height"]}}, {}, "it needs height"),
        ({"bind": {"guide": "sar"}}, {}, "it needs sar"),
    ],
)
def test_each_reason_is_said(model, data, reason):
    assert reason in check.mismatch(MODEL | model, DATA | data)


def test_a_role_bound_to_another_of_the_data_fits():
    data = DATA | {"card": {"roles": ["lr", "sar"]}, "channels": {"lr": 8, "sar": 1}}
    assert check.mismatch(MODEL | {"bind": {"lr": "lr", "guide": "sar"}}, data) is None


def test_a_role_may_be_what_the_data_provide_beside_their_images():
    model = MODEL | {"roles": {"required": ["lr", "guide", "srf"], "optional": []}}
    assert "it needs srf" in check.mismatch(model, DATA)
    assert check.mismatch(model, DATA | {"card": {"roles": ["lr", "guide"], "provides": ["srf"]}}) is None


def test_a_refusal_lists_what_would_fit():
    config = {
        "model": {"card": MODEL},
        "data": DATA | {"ratio": 3},
        "run": {"model": "pannet", "data": "odd"},
    }
    with pytest.raises(
        RefusedError, match=r"(?s)model=pannet cannot take data=odd.*Models that fit data=odd: .*Data sets that fit"
    ):
        check.check_pair(config, catalogue.search_path())


def test_data_without_a_training_part_are_refused_for_a_method_that_learns():
    data = DATA | {"trainable": False, "collection": "pairmax"}
    config = {
        "model": {"card": MODEL | {"regime": "supervised"}},
        "data": data,
        "run": {"model": "pannet", "data": "x"},
    }
    with pytest.raises(RefusedError, match="test images only"):
        check.check_pair(config, catalogue.search_path())
    config["model"]["card"]["regime"] = "classical"
    check.check_pair(config, catalogue.search_path())


def test_a_recipe_without_the_methods_schedule_names_those_that_have_one():
    config = {
        "model": {"card": MODEL | {"regime": "supervised"}},
        "run": {"model": "nosuch", "data": "x", "recipe": "paper"},
    }
    with pytest.raises(ConfigError, match=r"(?s)no published schedule for model=nosuch.*pannet"):
        check.check_recipe(config, catalogue.search_path())
    check.check_recipe(config | {"run": {"model": "pannet", "data": "x", "recipe": "paper"}}, catalogue.search_path())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("seed", None),
        ("seed", "zero"),
        ("trainer.max_steps", "many"),
        ("trainer.max_steps", 0),
        ("data.batch_size", 0),
    ],
)
def test_values_of_the_wrong_kind_are_named(key, value):
    config: dict = {}
    node = config
    *parents, last = key.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    with pytest.raises(ConfigError, match=key):
        check.check_values(config)


def test_zero_is_a_seed():
    check.check_values({"seed": 0, "trainer": {"max_steps": None}})


def test_a_patch_is_a_multiple_of_the_ratio():
    with pytest.raises(ConfigError, match=r"data.patch=50.*ratio 4"):
        check.check_values({"data": {"patch": 50, "ratio": 4}})


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        check.check_folder(tmp_path / "file" / "run")


def test_a_nearly_full_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(check.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(DataError, match=r"1 MB are free.*paths.outputs"):
        check.check_folder(tmp_path / "run")


def test_a_model_that_refers_to_a_role_the_data_lack_is_refused_before_it_is_resolved():
    from fusionbench.app import compose

    cfg = compose.composed("train", ["model=cf_cnn", "data=worldview3"])
    with pytest.raises(RefusedError, match="needs image and activity, the data set has lr and guide"):
        check.check_cards(cfg, {"model": "cf_cnn", "data": "worldview3"}, catalogue.search_path())
    cfg = compose.composed("train", ["model=pannet", "data=worldview3"])
    check.check_cards(cfg, {"model": "pannet", "data": "worldview3"}, catalogue.search_path())
