"""The list of what the survey names, and the cards."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from fusionbench.app import catalogue

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "coverage_page.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_page", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_method_is_listed_once(script: ModuleType) -> None:
    names = [method for _, _, method in script.methods()]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert len(names) == 76  # rows of Table 6, counted by hand


def test_a_card_of_a_row_that_is_there_has_a_command(script: ModuleType) -> None:
    cards = catalogue.cards("model", catalogue.search_path())
    for _, title, method in script.methods():
        if method in cards:
            assert "Table 6" in str(cards[method]["survey"]), f"{title}: the card of {method} names another row"


def test_what_is_missing_is_said(script: ModuleType) -> None:
    assert script._of_method("no_such_method") == "not yet"
    assert script._of_task({"data": ["worldview3"], "models": ["pannet"], "evaluator": "no_such"}) == "not yet"
    assert script._of_task({"data": ["worldview3"], "models": ["pannet"], "keys": ["no_such"]}) == "not yet"
    assert script._of_task({"data": ["worldview3"], "models": ["cf_cnn"]}) == "not yet"
    row = {"data": ["no_such", "worldview3"], "models": ["no_such", "pannet"], "loss": "l1"}
    assert script._of_task(row) == "`python train.py model=pannet data=worldview3 loss=l1`"
    assert script._every(["worldview3", "no_such"], ["pannet"]).endswith("<br>not yet: no_such")
