"""``fusionbench simulate``: files that readers can read, and mistakes with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from fusionbench.app.cli import main
from fusionbench.sensors import load_sensor
from fusionbench.simulation import simulate_pair


def test_pair_is_written_with_its_georeference(tmp_path: Path) -> None:
    assert main(["simulate", "quickbird", f"out={tmp_path / 'new'}", "seed=3", "size=32"]) == 0
    folder = tmp_path / "new"
    with rasterio.open(folder / "quickbird_s3_ms.tif") as ms, rasterio.open(folder / "quickbird_s3_pan.tif") as pan:
        assert (ms.count, ms.height, pan.height) == (4, 32, 128)
        assert ms.bounds == pytest.approx(pan.bounds)
        assert ms.crs == pan.crs
        assert ms.descriptions == ("blue", "green", "red", "nir")
        written = ms.read()
    assert np.array_equal(written, simulate_pair(load_sensor("quickbird"), 3, 32)["ms"])
    assert json.loads((folder / "quickbird_s3.json").read_text())["seed"] == 3
    assert len(list(folder.glob("*.png"))) == 6


@pytest.mark.parametrize(
    "arguments",
    [
        ["quickbrd", "out=x"],
        ["quickbird"],
        ["quickbird", "out=x", "seed=-1"],
        ["quickbird", "out=x", "sead=1"],
        ["--chek"],
    ],
)
def test_mistakes_end_with_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *arguments]) == 2


def test_an_unwritable_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert main(["simulate", "quickbird", f"out={tmp_path / 'file'}", "size=16"]) == 2
