"""Full resolution against the simulated truth, and how well indices without truth rank."""

from __future__ import annotations

import math

import pytest
import torch
import yaml

from fusionbench.building import build
from fusionbench.data.spatiospectral import SpatioSpectralDataModule
from fusionbench.errors import ConfigError, RefusedError
from fusionbench.evaluation.full_with_truth import correlations, ranking
from fusionbench.evaluation.schema import IndexInfo, SceneRow, read_metrics
from fusionbench.metrics import functional as indices
from fusionbench.sensors import Sensor
from fusionbench.simulation import simulate_pair
from tests.conftest import ROOT
from tests.evaluation.test_spatiospectral import GAINS, SENSOR, facts

BASELINES = {"exp": "EXP", "bt_h": "BT_H", "gsa": "GSA"}


def evaluator(**changes):
    """As configured, with three comparison rows, for small simulated scenes."""
    config = yaml.safe_load((ROOT / "configs/evaluator/full_with_truth.yaml").read_text())
    rows = {
        key: {
            "title": name,
            "kind": "interpolation" if key == "exp" else "classical",
            "method": {"_target_": f"fusionbench.classical.pansharpening.{name}", "ratio": 4, "grid": "area"}
            | ({} if key == "exp" else {"gains": GAINS, "pan_gain": SENSOR["pan"]["mtf"]}),
        }
        for key, name in BASELINES.items()
    }
    values = {"sensor": SENSOR, "ratio": 4, "grid": "area", "baselines": rows, "figures": {"scenes": 0}}
    return build({"_target_": config["_target_"], "truth": config["truth"], "simulated": True, **values, **changes})


def module(folder, **changes):
    """Two test scenes of 32 px and what no sensor tells."""
    settings = {
        "name": "quickbird", "sensor": SENSOR, "channels": {"lr": 4, "guide": 1}, "ratio": 4, "grid": "area",
        "source": "simulated", "collection": "simulated", "entry": None, "root": None, "bits": 11, "patch": 32,
        "cache": str(folder), "simulation": {"size": 32, "train": [], "val": [], "test": [301, 302]}, "truth": True,
    }  # fmt: skip
    return SpatioSpectralDataModule(**settings | changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    found = module(tmp_path_factory.mktemp("cache"))
    found.setup("test")
    return found


def test_the_truth_is_the_target_of_the_full_test_set_only_where_asked_for(data):
    reduced, full = (list(loader) for loader in data.test_dataloader())
    truth = simulate_pair(Sensor.from_mapping(SENSOR), 301, 32, truth=True)["truth"]["reference"]
    assert torch.allclose(full[0]["target"][0] * 2047, torch.from_numpy(truth), atol=1e-2)
    assert full[0]["target"].shape == (1, 4, 128, 128)
    assert reduced[0]["target"].shape == (1, 4, 32, 32)
    plain = module(data.cache.parent, truth=False)
    plain.setup("test")
    assert "target" not in plain.test_dataset("full")[0]
    assert torch.equal(plain.test_dataset("full")[0]["lr"], data.test_dataset("full")[0]["lr"])


def test_scores_against_the_truth_stand_beside_those_without(data, tmp_path):
    item = evaluator()
    item.begin(data.test_sets, tmp_path, "gsa", kind="classical")
    for name, loader in zip(data.test_sets, data.test_dataloader(), strict=True):
        for batch in loader:
            fused = item.baselines["gsa"].method(batch["lr"].double(), batch["guide"].double())
            item.observe(name, batch, fused, None)
    metrics = item.finish(tmp_path, facts())
    assert read_metrics(tmp_path) == metrics
    full = metrics.sets["full"]
    batches = list(data.test_dataloader()[1])
    errors = [indices.ergas(b["target"], b["guide"].repeat(1, 4, 1, 1), ratio=4).item() for b in batches]
    assert full.rows["gsa"].values["ERGAS"].mean < sum(errors) / len(errors)
    assert full.rows["bt_h"].values["SAM"].mean > 0
    assert {"QNR", "HQNR", "RQNR_unvalidated", "Q4"} <= set(full.rows["exp"].values)
    (found,) = metrics.findings
    assert [row[0] for row in found.rows][:3] == ["ERGAS, reduced", "SAM, reduced", "Q4, reduced"]
    page = (tmp_path / "report.html").read_text()
    assert found.title in page
    assert "HQNR, full" in page


def test_real_images_have_no_truth(tmp_path):
    with pytest.raises(RefusedError, match=r"data\.source=simulated"):
        evaluator(simulated=False)
    with pytest.raises(ConfigError, match="full_with_truth needs it"):
        evaluator(truth=False)
    with pytest.raises(ConfigError, match="whose truth nobody knows"):
        module(tmp_path, source="files")


def test_rank_correlation_by_hand():
    truth = {("a", m): v for m, v in zip("pqr", (1.0, 2.0, 3.0), strict=True)}
    assert correlations(truth, truth) == (1.0, 1.0)
    guess = {("a", "p"): 9.0, ("a", "q"): 1.0, ("a", "r"): 10.0}  # ranks 2 1 3: 1 - 6 * 2 / (3 * 8)
    assert correlations(guess, truth) == (pytest.approx(0.5), pytest.approx(0.5))
    # two scenes, each in the right order, but one far better than the other and thought to be worse
    other = {("b", m): 10 + v for (_, m), v in truth.items()}
    doubted = {("a", m): 10 + v for (_, m), v in truth.items()} | {("b", m): v for (_, m), v in truth.items()}
    pooled, within = correlations(doubted, truth | other)
    assert within == 1.0
    assert pooled < 0
    assert all(math.isnan(v) for v in correlations({}, truth))


def test_both_sides_are_turned_so_that_larger_is_better():
    infos = {"E": IndexInfo("min"), "Q": IndexInfo("max")}
    rows = [SceneRow("full", "a", m, "network", {"E": e, "Q": 1 - e}) for m, e in (("p", 0.1), ("q", 0.2), ("r", 0.3))]
    found = ranking(rows, [("full", "Q")], [("full", "E")], infos)
    assert found.rows == [["Q, full", "+1.00 / +1.00"]]
