"""What a method uses: gains by hand, and a method that looks at one input only."""

from __future__ import annotations

import pytest
import torch

from fusionbench.classical.pansharpening import EXP, GSA
from fusionbench.evaluation.explain import Explain, injection_gains
from fusionbench.evaluation.schema import read_metrics
from fusionbench.imaging.mtf import gaussian_low_pass
from tests.evaluation.test_spatiospectral import GAINS, SENSOR, batch, facts, toolbox  # noqa: F401 (a fixture)


def evaluator() -> Explain:
    rows = {"gsa": {"title": "GSA", "kind": "classical", "method": GSA(ratio=4, grid="dlpan", gains=GAINS)}}
    options = {"sensor": SENSOR, "ratio": 4, "grid": "dlpan", "gains": GAINS, "figures": {"scenes": 0}}
    return Explain(baselines=rows, **options)


def test_gains_by_hand(toolbox):  # noqa: F811
    scene = evaluator()._scene(batch(toolbox[0]))
    detail = scene.guide - gaussian_low_pass(scene.guide, 4)
    wanted = torch.tensor([0.5, 0.0, -0.25, 1.5], dtype=torch.float64)
    image = scene.exp + wanted[None, :, None, None] * detail + 7
    assert injection_gains(scene, image) == pytest.approx(wanted.tolist(), abs=1e-9)


def test_what_a_blind_method_uses(toolbox, tmp_path):  # noqa: F811
    one, exp = batch(toolbox[0]), EXP(ratio=4, grid="dlpan")
    item = evaluator()
    item.prepare(None, lambda given: exp(given["lr"], given["guide"]), None)
    item.begin(["reduced"], tmp_path, "exp", "interpolation")
    item.observe("reduced", one, exp(one["lr"], one["guide"]), 0.1)
    assert item.finish(tmp_path, facts()) is not None
    metrics = read_metrics(tmp_path)
    gains, shares = metrics.findings
    assert [row[0] for row in gains.rows] == ["reference", "GSA", metrics.sets["reduced"].rows["exp"].title]
    assert [float(cell) for cell in gains.rows[2][1:]] == [0.0] * 4  # interpolation adds nothing
    assert all(float(cell) > 0 for cell in gains.rows[0][1:])
    growth = {row[0]: row[3] for row in shares.rows[1:]}
    assert growth["without detail of PAN"] == "0.0 %"  # it never looked at PAN
    assert sum(float(text.removesuffix(" %")) for text in growth.values()) == pytest.approx(100, abs=0.2)
    assert (tmp_path / "figures" / "explain-gains.png").is_file()
