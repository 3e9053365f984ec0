"""Two processes on the CPU do what one does."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fusionbench.app.worker import work
from fusionbench.evaluation.schema import read_metrics, read_status
from fusionbench.regimes import read_checkpoint
from tests.app.runs import ROOT, prepare
from tests.data.twins import folder_pairs

# 20 batches of 4 patches; three test scenes and one validation scene do not divide by two processes
SETTINGS = ["trainer.max_steps=20", "data.batch_size=4", "trainer.val_every=10", "data.split.test=[a,b,c]"]


def test_weights_curves_and_scores_agree_within_rounding(tmp_path):
    folder_pairs(tmp_path / "data" / "quickbird", names="abcde", size=32, georeferenced=True)
    one = prepare(tmp_path, tmp_path / "one", *SETTINGS)
    two = prepare(tmp_path, tmp_path / "two", *SETTINGS, "trainer.devices=2")
    assert work(one, []) == 0
    command = [sys.executable, "-m", "fusionbench.app.worker", str(two)]
    assert subprocess.run(command, cwd=ROOT, timeout=200, capture_output=True).returncode == 0
    assert read_status(two).state == "finished"
    weights = [read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (one, two)]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=0, atol=1e-5)
    for row, other in zip(curves(one), curves(two), strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    sets = [read_metrics(folder).sets for folder in (one, two)]
    for name, rows in sets[0].items():
        assert list(rows.scenes) == list(sets[1][name].scenes)
        assert len(rows.scenes) == 3
        for index, value in rows.rows["exp"].values.items():
            assert sets[1][name].rows["exp"].values[index] == value
        for index, value in rows.rows["pannet"].values.items():
            assert sets[1][name].rows["pannet"].values[index].mean == pytest.approx(value.mean, rel=1e-3)


def curves(folder: Path) -> list[list[float]]:
    rows = csv.reader((folder / "curves.csv").open())
    next(rows)
    return [[float(cell) for cell in row if cell] for row in rows]
