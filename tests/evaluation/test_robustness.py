"""Changes of the inputs by hand, and what the evaluator makes of them."""

from __future__ import annotations

import math

import pytest
import torch
import yaml

from fusionbench.classical.pansharpening import EXP, GSA
from fusionbench.errors import ConfigError, RefusedError
from fusionbench.evaluation.changes import Change, changes_of, degraded, noisy, shifted
from fusionbench.evaluation.robustness import Robustness
from fusionbench.evaluation.schema import read_metrics, read_scenes, without_times
from fusionbench.metrics import functional as indices
from tests.conftest import ROOT
from tests.evaluation.test_spatiospectral import GAINS, SENSOR, batch, facts, toolbox  # noqa: F401 (a fixture)

CHANGES = {"shift": [0, 1], "snr": [30], "mtf": [1, 1.3], "ratio": [2]}
KNOWN = {"ratio": 4, "grid": "dlpan"}


def evaluator(**changes) -> Robustness:
    rows = {"exp": {"title": "EXP", "kind": "interpolation", "method": EXP(**KNOWN)}}
    options = {"sensor": SENSOR, **KNOWN, "gains": GAINS, "baselines": rows, "figures": {"scenes": 0}}
    return Robustness(**{"changes": CHANGES, "seed": 3, **options, **changes})


def gsa(ratio=4):
    method = GSA(ratio=ratio, grid="dlpan", gains=GAINS)
    return lambda given: method(given["lr"], given["guide"])


def evaluated(item, arrays, folder, at_ratio=gsa, names=("one",)):
    """GSA as the method under test."""
    item.prepare(None, gsa(), at_ratio)
    item.begin(["reduced", "full"], folder, "net")
    for name in names:
        one = batch(arrays, name)
        item.observe("reduced", one, gsa()(one), 0.1)
    return item.finish(folder, facts())


@pytest.fixture(scope="module")
def run(toolbox, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("run")
    return folder, evaluated(evaluator(), toolbox[0], folder, names=("two", "one"))


def test_a_whole_shift_moves_the_guide_and_nothing_else(toolbox):  # noqa: F811
    one = batch(toolbox[0])
    found = shifted(one, 2)
    inner = (..., slice(20, -20), slice(20, -20))
    for moved, (dy, dx) in zip(found, ((2, 0), (-2, 0), (0, 2), (0, -2)), strict=True):
        assert torch.allclose(moved["guide"][inner], torch.roll(one["guide"], (dy, dx), (-2, -1))[inner], atol=1e-9)
        assert moved["lr"] is one["lr"]
        assert moved["target"] is one["target"]
    assert len(shifted(one, 0)) == 1


def test_noise_has_the_power_it_should_and_comes_from_seed_and_scene(toolbox):  # noqa: F811
    one = batch(toolbox[0])
    for role in ("lr", "guide"):
        noise = noisy(one, 30, 0)[role] - one[role]
        ratio = one[role].square().mean((-2, -1)) / noise.square().mean((-2, -1))
        assert 10 * ratio.log10() == pytest.approx(30, abs=0.6)
    again, other, elsewhere = noisy(one, 30, 0), noisy(one, 30, 1), noisy(one | {"scene": ["x"]}, 30, 0)
    assert torch.equal(again["lr"], noisy(one, 30, 0)["lr"])
    assert not torch.equal(again["lr"], other["lr"])
    assert not torch.equal(again["lr"], elsewhere["lr"])
    # the same pattern at another level
    louder = noisy(one, 10, 0)["guide"] - one["guide"]
    assert torch.allclose(louder, 10 * (again["guide"] - one["guide"]), atol=1e-6)


def test_degrading_anew_with_the_same_gains_gives_the_same_ms(toolbox):  # noqa: F811
    one = batch(toolbox[0])
    anew = degraded(one, GAINS, 4, "dlpan")["lr"]
    assert float((anew - one["lr"]).std() / one["lr"].std()) < 0.02  # the file's MS also holds noise of its making
    sharper = degraded(one, [1.3 * gain for gain in GAINS], 4, "dlpan")
    assert sharper["lr"].std() > one["lr"].std()
    half = degraded(one, GAINS, 2, "dlpan")
    assert half["lr"].shape[-1] == 2 * one["lr"].shape[-1]
    assert half["ratio"].tolist() == [2]


def test_every_change_is_a_test_set_of_the_schema(run):
    folder, metrics = run
    assert read_metrics(folder) == metrics
    names = ["shift=0", "shift=1", "snr=30", "mtf=1", "mtf=1.3", "ratio=2"]
    assert list(metrics.sets) == ["reduced", *(f"reduced@{name}" for name in names)]
    assert {row.set for row in read_scenes(folder)} == set(metrics.sets)
    assert [p.file for p in metrics.pictures] == [f"figures/robustness-{i}.png" for i in ("ERGAS", "SAM", "Q4")]
    assert all((folder / p.file).stat().st_size > 5000 for p in metrics.pictures)
    (found,) = metrics.findings
    assert [row[0] for row in found.rows] == ["none", *names]
    page = (folder / "report.html").read_text()
    assert "ERGAS under changes" in page
    assert page.count('class="plot"') == 3


def test_what_changes_nothing_changes_no_score(run):
    base, unmoved, anew = (
        run[1].sets[f"reduced{name}"].rows["net"].values["ERGAS"].mean for name in ("", "@shift=0", "@mtf=1")
    )
    assert unmoved == pytest.approx(base, rel=1e-6)
    assert anew == pytest.approx(base, rel=0.01)


def test_under_a_shift_stand_mean_and_range_and_interpolation_is_blind_to_it(run, toolbox):  # noqa: F811
    one, sets = batch(toolbox[0]), run[1].sets
    scores = [indices.ergas(one["target"], gsa()(moved), ratio=4).item() for moved in shifted(one, 1)]
    values = sets["reduced@shift=1"].rows["net"].values
    assert values["ERGAS"].mean == pytest.approx(math.fsum(scores) / 4)
    assert values["ERGAS_min"].mean == pytest.approx(min(scores))
    assert values["ERGAS_max"].mean == pytest.approx(max(scores))
    floor = sets["reduced"].rows["exp"].values["ERGAS"].mean
    assert sets["reduced@shift=1"].rows["exp"].values["ERGAS"].mean == pytest.approx(floor)
    assert not any("shift" in flag for flag in run[1].flags)


def test_another_ratio_changes_method_and_rows(run, toolbox):  # noqa: F811
    half = degraded(batch(toolbox[0]), GAINS, 2, "dlpan")
    rows = run[1].sets["reduced@ratio=2"].rows
    for name, image in (("net", gsa(2)(half)), ("exp", EXP(ratio=2, grid="dlpan")(half["lr"], half["guide"]))):
        expected = indices.ergas(half["target"], image, ratio=2).item()
        assert rows[name].values["ERGAS"].mean == pytest.approx(expected)


def test_a_method_that_cannot_take_a_ratio_says_so(toolbox, tmp_path):  # noqa: F811
    def refused(ratio):
        raise RefusedError(f"it works at ratio 4, not at {ratio}")

    item = evaluator(changes={"ratio": [2]})
    rows = evaluated(item, toolbox[0], tmp_path, refused).sets["reduced@ratio=2"].rows
    assert rows["net"].skipped == "it works at ratio 4, not at 2"
    assert rows["exp"].values


def test_order_of_scenes_does_not_matter(run, toolbox, tmp_path):  # noqa: F811
    again = evaluated(evaluator(), toolbox[0], tmp_path, names=("one", "two"))
    assert without_times(again) == without_times(run[1])


def test_what_is_wrong_is_said(tmp_path):
    config = yaml.safe_load((ROOT / "configs/evaluator/robustness.yaml").read_text())
    assert len(changes_of(config["changes"], GAINS)) == 16
    assert str(Change("shift", 0.25)) == "shift=0.25"
    for wrong, words in (
        ({"haze": [1]}, "no such change"),
        ({"shift": [-1]}, "0 px or more"),
        ({"mtf": [4]}, "stays within 0 and 1"),
        ({"ratio": [2.5]}, "whole number"),
    ):
        with pytest.raises(ConfigError, match=words):
            changes_of(wrong, GAINS)
    with pytest.raises(RefusedError, match="the data have full"):
        evaluator().begin(["full"], tmp_path, "net")
