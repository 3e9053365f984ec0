"""Scores by use: small cases by hand, and a run on simulated scenes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fusionbench.classical.pansharpening import EXP, GSA
from fusionbench.data.spatiospectral import SpatioSpectralDataModule
from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import tasks
from fusionbench.evaluation.application import Application
from fusionbench.evaluation.facts import optimised
from fusionbench.evaluation.schema import read_metrics, without_times
from fusionbench.sensors import index_bands
from tests.evaluation.test_spatiospectral import GAINS, SENSOR, batch, facts, toolbox  # noqa: F401 (a fixture)

CENTERS = [band["center"] for band in SENSOR["bands"]]


def evaluator(grid="area", simulated=True, **changes) -> Application:
    rows = {"exp": {"title": "EXP", "kind": "interpolation", "method": EXP(ratio=4, grid=grid)}}
    options = {"sensor": SENSOR, "ratio": 4, "grid": grid, "gains": GAINS, "baselines": rows, "figures": {"scenes": 0}}
    return Application(**{"simulated": simulated, "truth": simulated, "targets": {"count": 6}, **options, **changes})


def gsa(grid="area"):
    method = GSA(ratio=4, grid=grid, gains=GAINS)
    return lambda given: method(given["lr"], given["guide"])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    settings = {
        "name": "quickbird", "sensor": SENSOR, "channels": {"lr": 4, "guide": 1}, "ratio": 4, "grid": "area",
        "source": "simulated", "collection": "simulated", "entry": None, "root": None, "bits": 11, "patch": 32,
        "simulation": {"size": 48, "train": [101], "val": [], "test": [301, 302]}, "truth": True,
    }  # fmt: skip
    found = SpatioSpectralDataModule(cache=str(tmp_path_factory.mktemp("cache")), **settings)
    found.setup("test")
    return found


def evaluated(item, data, folder):
    item.prepare(data, gsa(), None)
    item.begin(data.test_sets, folder, "net")
    for name, loader in zip(data.test_sets, data.test_dataloader(), strict=True):
        for one in loader:
            item.observe(name, one, gsa()(one), 0.1)
    return item.finish(folder, facts())


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, evaluated(evaluator(), data, folder)


def test_the_reference_is_the_ceiling_and_stands_only_where_it_is_used(run):
    folder, metrics = run
    assert read_metrics(folder) == metrics
    assert list(metrics.sets) == ["reduced", "full", "application", "application_full"]
    assert "reference" not in metrics.sets["reduced"].rows
    for name in ("application", "application_full"):
        rows = metrics.sets[name].rows
        assert list(rows) == ["reference", "exp", "net"]
        assert rows["reference"].values["NDVI_RMSE"].mean == 0
        for row in ("exp", "net"):
            assert rows[row].values["NDVI_RMSE"].mean > 0
            assert rows[row].values["RX_AUC"].mean < rows["reference"].values["RX_AUC"].mean
        assert 0.2 < rows["reference"].values["OA"].mean <= 1
    assert not any("Reference" in flag for flag in metrics.flags)
    page = (folder / "report.html").read_text()
    assert "Application, reduced resolution" in page
    assert "Reference (ceiling)" in page


def test_the_same_seed_gives_the_same_targets(run, data, tmp_path):
    again = evaluated(evaluator(), data, tmp_path)
    assert without_times(again) == without_times(run[1])


def test_real_images_have_no_classes_and_no_truth(toolbox, tmp_path):  # noqa: F811
    item, one = evaluator("dlpan", simulated=False), batch(toolbox[0])
    item.prepare(None, gsa("dlpan"), None)
    item.begin(["reduced", "full"], tmp_path, "net")
    item.observe("reduced", one, gsa("dlpan")(one), None)
    metrics = item.finish(tmp_path, facts())
    assert list(metrics.sets) == ["reduced", "application"]
    assert set(metrics.sets["application"].rows["net"].values) == {"NDVI_RMSE", "NDWI_RMSE", "RX_AUC"}


def test_a_run_trained_on_an_index_says_so(data, tmp_path):
    loss = {"terms": {"a": {"_target_": "fusionbench.losses.application.SpectralIndex", "index": "NDVI"}}}
    assert optimised({"module": {"loss": loss}, "card": {"notes": ["x"]}}) == ["NDVI"]
    item, known = evaluator(), facts()
    item.prepare(data, gsa(), None)
    item.begin(["reduced"], tmp_path, "net")
    one = next(iter(data.test_dataloader()[0]))
    item.observe("reduced", one, gsa()(one), None)
    found = item.finish(tmp_path, replace(known, model=replace(known.model, optimised=["NDVI"])))
    assert any("NDVI_RMSE stood in its loss" in note for note in found.sets["application"].notes)


def test_bands_of_an_index():
    assert index_bands("NDVI", CENTERS) == (3, 2)
    assert index_bands("NDWI", CENTERS) == (1, 3)
    with pytest.raises(ConfigError, match="near 842 nm"):
        index_bands("NDVI", CENTERS[:3])
    with pytest.raises(ConfigError, match="none of NDVI"):
        index_bands("EVI", CENTERS)
    image = torch.tensor([3.0, 1.0, -5.0]).reshape(3, 1, 1).double()
    assert tasks.normalised_difference(image, (0, 1)).item() == 0.5
    assert tasks.normalised_difference(image, (0, 2)).item() == 1


def test_area_under_the_curve_by_hand():
    scores = torch.tensor([0.9, 0.4, 0.5, 0.4, 0.1])
    hits = torch.tensor([True, True, False, False, False])
    # pairs: .9 above all three; .4 below .5, equal to .4, above .1
    assert tasks.area_under_curve(scores, hits, ~hits) == pytest.approx((3 + 0 + 0.5 + 1) / 6)
    assert math.isnan(tasks.area_under_curve(scores, ~hits & hits, hits))


def test_rx_is_the_mahalanobis_distance():
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 8, 9)))
    flat = image.flatten(1).numpy()
    inverse, centred = np.linalg.inv(np.cov(flat)), flat - flat.mean(1, keepdims=True)
    expected = np.einsum("in,ij,jn->n", centred, inverse, centred)
    found = tasks.rx(image, torch.ones(8, 9, dtype=torch.bool))
    assert np.allclose(found.flatten().numpy(), expected)


def test_targets_are_smaller_than_an_ms_pixel_and_lie_within_one():
    valid = torch.ones(48, 48, dtype=torch.bool)
    put = tasks.implant(torch.rand(4, 48, 48).double(), valid, CENTERS, 4, 5, 2, "0/a")
    assert int(put.targets.sum()) == 5 * 4
    cells = put.targets.reshape(12, 4, 12, 4).sum((1, 3))
    assert sorted(cells.unique().tolist()) == [0, 4]
    assert not bool((put.targets & put.background).any())
    assert put.spectrum[0] > put.spectrum[3]


def test_weights_of_the_bands_in_pan():
    bands = torch.rand(3, 20, 20).double()
    pan = 0.5 * bands[0] + 0.2 * bands[1] + 7
    found = tasks.band_weights(pan, bands, torch.ones(20, 20, dtype=torch.bool))
    assert found.tolist() == pytest.approx([0.5, 0.2, 0.0])


def test_land_cover_of_blocks():
    classes = torch.tensor([[1, 1, 2, 2], [1, 3, 2, 2], [0, 0, 0, 1], [0, 0, 1, 1]], dtype=torch.uint8)
    assert tasks.land_cover(classes, 2, (2, 2), 0.75).tolist() == [[1, 2], [0, 1]]
    assert tasks.land_cover(classes, 2, (2, 2), 1.0).tolist() == [[-1, 2], [0, -1]]
    with pytest.raises(DataError, match="do not cover"):
        tasks.land_cover(classes, 2, (3, 2), 1.0)


def test_the_classifier_tells_two_clouds_apart_and_kappa_by_hand():
    rng = np.random.default_rng(1)
    samples = torch.from_numpy(np.concatenate([rng.normal(0, 1, (80, 2)), rng.normal(9, 2, (80, 2))]))
    labels = torch.tensor([4] * 80 + [7] * 80)
    found = tasks.GaussianClassifier(samples, labels).predict(samples.T.reshape(2, 16, 10)).flatten()
    assert tasks.agreement(found, labels) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.04))
    # 3 of 4 agree; chance: 1/2 * 1/4 + 1/2 * 3/4
    truth = torch.tensor([0, 1, 1, 1])
    assert tasks.agreement(torch.tensor([0, 0, 1, 1]), truth) == (0.75, pytest.approx(0.5))
    with pytest.raises(DataError, match="fewer than two classes"):
        tasks.GaussianClassifier(samples[:80], labels[:80])


def test_what_is_wrong_is_said():
    with pytest.raises(ConfigError, match="1 to 3 px"):
        evaluator(targets={"size": 4})
    with pytest.raises(ConfigError, match=r"classifier\.purity=0"):
        evaluator(classifier={"purity": 0})
