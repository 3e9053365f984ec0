"""The evaluator against the toolbox's numbers, and what it leaves in a run folder."""

from __future__ import annotations

import json
import math
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from fusionbench.building import build
from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import SpatioSpectral
from fusionbench.evaluation.base import gather
from fusionbench.evaluation.facts import run_facts
from fusionbench.evaluation.schema import Training, read_metrics, read_scenes, without_times
from fusionbench.metrics import functional as indices
from tests.conftest import ROOT

SENSOR = yaml.safe_load((ROOT / "configs/sensor/quickbird.yaml").read_text())
GAINS = [band["mtf"] for band in SENSOR["bands"]]
PEAK = 2047.0
NAMES = {"Q4": "Q2n", "UIQI": "Q", "SAM": "SAM", "ERGAS": "ERGAS", "SCC": "SCC", "SSIM": "SSIM"}
ROWS = {"exp": "EXP", "gsa": "GSA", "mtf_glp_hpm": "MTF_GLP_HPM", "bt_h": "BT_H"}


@pytest.fixture(scope="module")
def toolbox():
    folder = ROOT / "tests/data/references"
    return np.load(folder / "synthetic_qb_4band.npz"), json.loads((folder / "synthetic_qb_4band.json").read_text())


def evaluator(**changes) -> SpatioSpectral:
    """The evaluator as its configuration builds it, on the toolbox's grid."""
    config = yaml.safe_load((ROOT / "configs/evaluator/spatiospectral.yaml").read_text())
    values = {"sensor": SENSOR, "ratio": 4, "grid": "dlpan", "gains": GAINS, "figures": {"scenes": 0}}
    for row in config["baselines"].values():
        known = {"ratio": 4, "grid": "dlpan", "gains": GAINS, "pan_gain": SENSOR["pan"]["mtf"]}
        row["method"] |= {key: known[key] for key in row["method"] if key != "_target_"}
    return build({**config, **values, **changes})


def scaled(x) -> torch.Tensor:
    return torch.from_numpy(np.asarray(x, np.float64)[None] / PEAK)


def batch(arrays, name="one", full=False) -> dict:
    found = {
        "lr": scaled(arrays["ms"]),
        "guide": scaled(arrays["pan"]),
        "scene": [name],
        "sensor": ["quickbird"],
        "bits": torch.tensor([11]),
        "ratio": torch.tensor([4]),
        "gsd": torch.tensor([2.4]),
    }
    return found if full else found | {"target": scaled(arrays["reference"])}


def facts(seed=0, **training):
    card = {"id": "net", "name": "Net", "regime": "supervised", "notes": ["A note."]}
    config = {
        "run": {"name": "net-qb", "model": "net", "data": "quickbird", "settings": "abc"},
        "seed": seed,
        "model": {"card": card},
        "data": {
            "card": {"name": "QuickBird"},
            "sensor": SENSOR,
            "channels": {"lr": 4, "guide": 1},
            "ratio": 4,
            "bits": 11,
        },
    }
    return run_facts(config, training=Training(recipe="demo", steps=10, trained_on="quickbird", **training))


@pytest.fixture(scope="module")
def run(toolbox, tmp_path_factory):
    """One evaluated run of two equal scenes, observed out of order."""
    arrays, _ = toolbox
    folder, item = tmp_path_factory.mktemp("run"), evaluator(figures={"scenes": 1, "size": 64})
    item.begin(["reduced", "full"], folder, "net")
    fused = scaled(arrays["fused"])
    for name in ("two", "one"):
        item.observe("reduced", batch(arrays, name), fused, 0.1)
        item.observe("full", batch(arrays, name, full=True), fused, 0.1)
    (folder / "curves.csv").write_text("step,train/loss,val/ERGAS\n1,0.5,\n2,0.25,3.0\n")
    metrics = item.finish(folder, replace(facts(converged=False, improvement=0.05), log=folder / "curves.csv"))
    return folder, metrics


def test_indices_with_reference_equal_the_toolbox(run, toolbox):
    expected = toolbox[1]["with_reference"]["values"]["fused"]["full"]
    row = run[1].sets["reduced"].rows["net"]
    for ours, theirs in NAMES.items():
        assert row.values[ours].mean == pytest.approx(expected[theirs], rel=1e-9), ours


def test_indices_without_reference_equal_the_toolbox(run, toolbox):
    expected = toolbox[1]["without_reference"]["values"]["fused"]
    row = run[1].sets["full"].rows["net"]
    for ours, theirs in {"D_lambda": "D_lambda", "D_s": "D_S", "QNR": "QNR", "D_lambda_K": "D_lambda_K"}.items():
        assert row.values[ours].mean == pytest.approx(expected[theirs], abs=1e-9), ours
    assert row.values["HQNR"].mean == pytest.approx(expected["HQNR"], abs=1e-9)


@pytest.mark.parametrize("name", ROWS)
def test_comparison_rows_equal_the_toolbox(run, toolbox, name):
    expected = toolbox[1]["classical"]["methods"][ROWS[name]]["metrics"]["full"]
    row = run[1].sets["reduced"].rows[name]
    for ours, theirs in NAMES.items():
        assert row.values[ours].mean == pytest.approx(expected[theirs], rel=1e-5), ours


def test_scores_of_float32_batches_agree_and_validation_is_the_same_index(toolbox):
    arrays, document = toolbox
    expected = document["with_reference"]["values"]["fused"]["full"]
    small = {k: v.float() if k in ("lr", "guide", "target") else v for k, v in batch(arrays).items()}
    scores = evaluator().score(small, scaled(arrays["fused"]).float())
    assert scores["ERGAS"] == pytest.approx([expected["ERGAS"]], rel=1e-5)
    assert scores["SAM"] == pytest.approx([expected["SAM"]], rel=1e-5)
    assert set(scores) == {"ERGAS", "SAM", "PSNR"}


def test_the_border_cut_of_the_toolbox(toolbox, tmp_path):
    arrays, document = toolbox
    item = evaluator(border="dlpan", baselines={})
    item.begin(["reduced"], tmp_path, "net")
    item.observe("reduced", batch(arrays), scaled(arrays["fused"]), None)
    metrics = item.finish(tmp_path, facts())
    expected = document["with_reference"]["values"]["fused"]["cut"]
    for ours, theirs in NAMES.items():
        assert metrics.sets["reduced"].rows["net"].values[ours].mean == pytest.approx(expected[theirs], rel=1e-9)
    assert metrics.evaluator.options == {"border": "dlpan", "clip": False}


def test_a_few_wild_values_are_told_and_may_be_clipped(toolbox, tmp_path):
    arrays, _ = toolbox
    wild, peak = scaled(arrays["fused"]).clone(), 2**11 - 1
    wild[0, 0, 5, 5] = 40.0
    found = {}
    for clip in (False, True):
        item = evaluator(clip=clip, baselines={})
        item.begin(["reduced"], tmp_path, "net")
        item.observe("reduced", batch(arrays), wild, None)
        found[clip] = item.finish(tmp_path, facts())
        assert any("1 of" in note and "lie outside" in note for note in found[clip].sets["reduced"].notes)
    ergas = {clip: metrics.sets["reduced"].rows["net"].values["ERGAS"].mean for clip, metrics in found.items()}
    reference = batch(arrays)["target"].double() * peak
    clamped = (wild.double() * peak).clamp(0, peak + 1)
    assert ergas[True] == pytest.approx(indices.ergas(reference, clamped, ratio=4).item(), rel=1e-9)
    assert ergas[False] > 2 * ergas[True]
    assert "clipped" in found[True].indices["ERGAS"].variant


def test_a_run_leaves_its_files_and_they_read_back(run):
    folder, metrics = run
    assert read_metrics(folder) == metrics
    rows = read_scenes(folder)
    order = [(name, scene) for name in ("reduced", "full") for scene in ("one", "two")]
    assert [(row.set, row.scene) for row in rows[::5]] == order
    assert [row.method for row in rows[:5]] == ["exp", "gsa", "mtf_glp_hpm", "bt_h", "net"]
    assert all(row.shift_dy is not None and row.seconds is not None for row in rows)
    kinds = [p.kind for p in metrics.pictures]
    assert kinds.count("error") == 5
    assert kinds.count("spectra") == kinds.count("curves") == 1
    assert all((folder / p.file).read_bytes().startswith(b"\x89PNG") for p in metrics.pictures)
    assert not re.search(r"[=, ]", "".join(p.file for p in metrics.pictures))


def test_composites_of_a_scene_share_one_stretch(run):
    pictures = [p for p in run[1].pictures if p.kind == "composite" and p.set == "reduced" and p.method != "pan"]
    assert len(pictures) == 6
    assert len({tuple(p.stretch) for p in pictures}) == 1
    errors = {tuple(p.stretch) for p in run[1].pictures if p.kind == "error"}
    assert len(errors) == 1


def test_the_report_is_one_self_contained_page(run):
    page = (run[0] / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    assert all(text in page for text in ("Net on QuickBird", "MTF-GLP-HPM", "not converged", "A note."))
    assert all(f"<h2>{text}" in page for text in ("Results", "Learning curves", "Registration", "Configuration"))
    assert "prefers-color-scheme: dark" in page


def test_a_network_below_other_rows_is_flagged_per_index(run):
    flags = "; ".join(run[1].flags)
    # the toolbox: SAM 1.308 of the image, 1.118 EXP, .989 GSA, .972 MTF-GLP-HPM, 1.299 BT-H; ERGAS .928, EXP 1.711
    assert "Net is below EXP and GSA and MTF-GLP-HPM and BT-H on SAM (Reduced resolution)" in flags
    assert "Net is below GSA and MTF-GLP-HPM and BT-H on ERGAS (Reduced resolution)" in flags
    # EXP has no D_lambda to speak of by construction: it is no floor there
    assert "Net is below MTF-GLP-HPM on D_lambda (Full resolution)" in flags


def test_order_of_scenes_does_not_matter(run, toolbox, tmp_path):
    arrays, _ = toolbox
    item = evaluator()
    item.begin(["reduced", "full"], tmp_path, "net")
    for name in ("one", "two"):
        item.observe("full", batch(arrays, name, full=True), scaled(arrays["fused"]), 0.2)
        item.observe("reduced", batch(arrays, name), scaled(arrays["fused"]), 0.2)
    metrics = without_times(item.finish(tmp_path, facts(converged=False, improvement=0.05)))
    assert metrics.pictures == []
    assert metrics == replace(without_times(run[1]), pictures=[])


def test_shares_of_two_processes_give_the_same_record(run, toolbox, tmp_path, monkeypatch):
    arrays, _ = toolbox
    shares = [evaluator(), evaluator()]
    for item, name in zip(shares, ("two", "one"), strict=True):
        item.begin(["reduced", "full"], tmp_path, "net")
        item.observe("reduced", batch(arrays, name), scaled(arrays["fused"]), 0.2)
        item.observe("full", batch(arrays, name, full=True), scaled(arrays["fused"]), 0.2)
    other = pickle.loads(pickle.dumps(shares[1]._seen))
    monkeypatch.setattr("fusionbench.evaluation.scenewise.gather", lambda items: items + other)
    metrics = without_times(shares[0].finish(tmp_path, facts(converged=False, improvement=0.05)))
    assert metrics == replace(without_times(run[1]), pictures=[])


def test_the_runs_own_classical_method_replaces_its_comparison_row(toolbox, tmp_path):
    arrays, document = toolbox
    item = evaluator()
    item.begin(["reduced"], tmp_path, "gsa", kind="classical")
    one = batch(arrays)
    item.observe("reduced", one, item.baselines["gsa"].method(one["lr"], one["guide"]), 0.1)
    metrics = item.finish(tmp_path, facts())
    rows = metrics.sets["reduced"].rows
    assert list(rows) == ["exp", "mtf_glp_hpm", "bt_h", "gsa"]
    expected = document["classical"]["methods"]["GSA"]["metrics"]["full"]["ERGAS"]
    assert rows["gsa"].values["ERGAS"].mean == pytest.approx(expected, rel=1e-6)
    assert metrics.flags == []


def test_invalid_pixels_do_not_count(toolbox, tmp_path):
    arrays, _ = toolbox
    valid = torch.ones(1, 1, 128, 128, dtype=torch.bool)
    valid[..., :20, :20] = False
    fused = scaled(arrays["fused"])
    spoilt = fused.clone()
    spoilt[..., :20, :20] = math.nan
    values = []
    for image in (fused, spoilt):
        item = evaluator(baselines={})
        item.begin(["reduced"], tmp_path, "net")
        item.observe("reduced", batch(arrays) | {"valid": valid}, image, None)
        found = item.finish(tmp_path, facts()).sets["reduced"]
        values.append({k: v.mean for k, v in found.rows["net"].values.items()})
        assert found.scenes["one"].valid_share == pytest.approx(1 - 400 / 128**2)
        assert any("missing pixels" in note for note in found.notes)
    assert values[0] == values[1]


def test_a_shift_of_pan_is_measured_and_warned(toolbox, tmp_path):
    arrays, _ = toolbox
    moved = batch(arrays)
    moved["guide"] = torch.roll(moved["guide"], 2, dims=-2)
    item = evaluator(baselines={})
    item.begin(["reduced"], tmp_path, "net")
    item.observe("reduced", batch(arrays, "still"), scaled(arrays["fused"]), None)
    item.observe("reduced", moved | {"scene": ["moved"]}, scaled(arrays["fused"]), None)
    found = item.finish(tmp_path, facts()).sets["reduced"]
    difference = found.scenes["moved"].shift.dy - found.scenes["still"].shift.dy
    assert difference == pytest.approx(-2.0, abs=0.15)
    assert found.scenes["moved"].shift.warned
    assert not found.scenes["still"].shift.warned
    assert any("1 of 2 scenes" in note and "data.align=global" in note for note in found.notes)


def test_an_image_too_small_for_an_index_loses_that_index_only(toolbox, tmp_path):
    arrays, _ = toolbox
    small = {key: arrays[key][..., :24, :24] for key in ("pan", "reference", "fused")}
    small["ms"] = arrays["ms"][..., :6, :6]
    item = evaluator(baselines={})
    item.begin(["reduced", "full"], tmp_path, "net")
    item.observe("reduced", batch(small), scaled(small["fused"]), None)
    item.observe("full", batch(small, full=True), scaled(small["fused"]), None)
    sets = item.finish(tmp_path, facts()).sets
    assert "UIQI" not in sets["reduced"].rows["net"].values
    assert "ERGAS" in sets["reduced"].rows["net"].values
    assert sets["full"].rows["net"].values == {}
    assert any("UIQI" in note for note in sets["reduced"].notes)


def test_a_comparison_row_that_cannot_take_the_data_says_why(toolbox, tmp_path):
    arrays, _ = toolbox
    item = evaluator()
    item.baselines["gsa"].method.ratio = 2
    item.begin(["reduced"], tmp_path, "net")
    item.observe("reduced", batch(arrays), scaled(arrays["fused"]), None)
    rows = item.finish(tmp_path, facts()).sets["reduced"].rows
    assert "at ratio 2" in rows["gsa"].skipped
    assert rows["exp"].values


def test_what_is_wrong_is_said(toolbox, tmp_path):
    arrays, _ = toolbox
    with pytest.raises(ConfigError, match=r"evaluator\.gains: 2 numbers, the sensor quickbird has 4 bands"):
        evaluator(gains=[0.3, 0.3])
    with pytest.raises(ConfigError, match=r"baselines\.x"):
        SpatioSpectral(sensor=SENSOR, ratio=4, grid="dlpan", baselines={"x": {"title": "X"}})
    item = evaluator(baselines={})
    item.begin(["reduced"], tmp_path, "net")
    with pytest.raises(DataError, match="was not announced"):
        item.observe("full", batch(arrays), scaled(arrays["fused"]), None)
    with pytest.raises(DataError, match="the method gave"):
        item.observe("reduced", batch(arrays), scaled(arrays["fused"])[..., :64], None)
    with pytest.raises(DataError, match="no test scene"):
        item.finish(tmp_path, facts())


def test_labels_tell_where_a_method_was_trained():
    real = facts(trained_on_simulated=False)
    assert real.label == "real"
    assert facts(trained_on_simulated=True).label == "simulated -> real"
    other = replace(real, training=replace(real.training, trained_on="worldview2"))
    assert other.label == "worldview2 -> quickbird"
    assert replace(real, training=Training()).label == "real"


def test_gathering_over_processes(tmp_path):
    assert gather([1, 2]) == [1, 2]
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert gather([1, 2]) == [1, 2]
    finally:
        torch.distributed.destroy_process_group()
