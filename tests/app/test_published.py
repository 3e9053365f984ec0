"""Published tables: every file reads, what may stand beside them, and what a person is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fusionbench.app import catalogue
from fusionbench.app.cli import main
from fusionbench.errors import DataError
from fusionbench.evaluation import published as tables
from fusionbench.evaluation.schema import (
    DataInfo,
    EvaluatorInfo,
    IndexInfo,
    Metrics,
    ModelInfo,
    Row,
    Scene,
    TestSet,
    Training,
    Value,
)

FILES = catalogue.options("table", catalogue.search_path())
CONTENT = {
    "title": "A table",
    "task": "pansharpening",
    "data": "worldview3",
    "set": "reduced",
    "kind": "retrain",
    "protocol": "reduced",
    "test_set": "20 images",
    "collection": "pancollection",
    "paper": {"title": "A paper", "venue": "A journal", "year": 2022},
    "variant": {"border": "unknown", "q_block": 32},
    "metrics": [{"name": "SAM", "unit": "deg", "better": "min"}, {"name": "Q2n", "unit": "1", "better": "max"}],
    "rows": [
        {"method": "gsa", "label": "GSA", "published": {"SAM": [5, 1]}, "certainty": "read", "source": "Table 1"},
        {"method": "pnn", "label": "PNN", "published": {"SAM": [4, None]}, "certainty": "memory", "source": "memory"},
    ],
}


def a_run(**changes) -> tables.Run:
    data = DataInfo(id="worldview3", collection="pancollection")
    rows = {
        "gsa": Row("gsa", "GSA", "classical", 2, {"SAM": Value(5.5, 0.1, 2), "Q8": Value(0.9, 0.1, 2)}),
        "pnn": Row("pnn", "PNN", "network", 2, {"SAM": Value(4.5, 0.1, 2)}),
    }
    scenes = {name: Scene(64, 64) for name in ("a", "b")}
    metrics = Metrics(
        run="pnn-worldview3-s0-0",
        method="pnn",
        label="real",
        seed=0,
        data=replace(data, **changes),
        model=ModelInfo("pnn"),
        training=Training(recipe="demo", trained_on="worldview3"),
        evaluator=EvaluatorInfo("spatiospectral", 1, {"border": 0, "clip": False}),
        indices={"SAM": IndexInfo("min"), "Q8": IndexInfo("max")},
        sets={"reduced": TestSet("reduced", ["SAM", "Q8"], scenes, rows)},
    )
    return tables.Run(Path("pnn-worldview3-s0-0"), metrics, {"data": {"split": {"by": "test"}}})


@pytest.mark.parametrize("name", FILES)
def test_every_table_reads(name):
    table = tables.read_table(catalogue.read_yaml(FILES[name]), name)
    assert table.rows
    known = catalogue.options("data", catalogue.search_path())
    assert table.data is None or table.data in known


def test_a_wrong_key_names_its_place():
    with pytest.raises(DataError, match=r"odd\.yaml.*knid"):
        tables.read_table({**CONTENT, "knid": "retrain"}, "odd.yaml")


def test_measured_values_come_from_the_same_test_set_only():
    table = tables.read_table(CONTENT, "x")
    gsa, pnn = table.rows
    found = tables.measured(table, gsa, "SAM", [a_run()])
    assert found is not None
    assert (found.value, found.n, found.caveats) == (5.5, 2, ())
    assert tables.measured(table, gsa, "Q2n", [a_run()]).value == 0.9
    assert found.options == {"border": 0, "clip": False}
    assert tables.measured(table, pnn, "SAM", [a_run()]).caveats, "trained by another recipe: said"
    for other in ({"simulated": True}, {"collection": "nbu"}, {"id": "quickbird"}):
        assert tables.measured(table, gsa, "SAM", [a_run(**other)]) is None
    assert tables.measured(replace(table, settings={"data.split.by": "scene"}), gsa, "SAM", [a_run()]) is None
    assert tables.measured(replace(table, settings={"data.split.by": "test"}), gsa, "SAM", [a_run()]) is not None


def test_variants_that_differ_or_are_unknown_are_named():
    table = tables.read_table(CONTENT, "x")
    assert tables.differing(table, {"border": 0, "q_block": 32}) == ["border unknown (ours: 0)"]
    assert "q_block 32 (ours: 16)" in tables.differing(table, {"border": 0, "q_block": 16})


def test_rows_from_memory_are_shown_on_request_only():
    table = tables.read_table(CONTENT, "x")
    assert [row.method for row in tables.visible(table.rows, False)] == ["gsa"]
    assert len(tables.visible(table.rows, True)) == 2


@pytest.mark.parametrize("name", ["params_wv3", "params_qb"])
def test_parameter_counts_equal_the_published_table(name, capsys):
    assert main(["table", name]) == 0
    out = capsys.readouterr().out
    assert "All counts that can be measured are equal" in out


def test_a_table_nobody_can_measure_says_so(capsys, tmp_path):
    assert main(["table", "fusionnet_wv3_rio", str(tmp_path)]) == 0
    assert "no collection that fusionbench reads holds this test set" in capsys.readouterr().out
