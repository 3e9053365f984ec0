"""`fusionbench data check`: what it finds, what it says, and its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio

from fusionbench.app.cli import door
from fusionbench.data.check import Finding, examine

from . import twins
from .composing import module


def findings(data: str, folder: Path, *overrides: str) -> dict[str, Finding]:
    return {found.name: found for found in examine(module(data, folder, *overrides))}


def test_depth_gaps_saturation_and_correlation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionbench.data.check.STRIP", 24)  # not a divisor of the 64 rows
    folder = twins.folder_pairs(tmp_path / "quickbird", "abcd", style="folders", size=64, nodata=0)
    with rasterio.open(folder / "pan" / "a.tif", "r+") as file:
        pan = file.read()
        pan[0, :16, :64] = 2047
        pan[0, 100:110, :] = 0
        file.write(pan)
    found = findings("quickbird", tmp_path)
    a, b = found["a"], found["b"]
    assert (a.needed, a.bits, a.sets, b.sets) == (11, 11, ("test",), ("train",))
    assert a.missing == pytest.approx((0, 10 / 256))
    assert a.saturated == pytest.approx((0, 16 * 64 / (246 * 256)))
    assert b.saturated == b.missing == (0, 0)
    with rasterio.open(folder / "ms" / "b.tif") as ms, rasterio.open(folder / "pan" / "b.tif") as fine:
        bands = ms.read().astype(float)
        means = fine.read()[0].astype(float).reshape(64, 4, 64, 4).mean((1, 3))
    expected = np.corrcoef([band.ravel() for band in bands])[np.triu_indices(4, 1)]
    assert b.correlation == pytest.approx((expected.min(), expected.mean()))
    assert b.pan_correlation == pytest.approx(np.corrcoef(bands.mean(0).ravel(), means.ravel())[0, 1])
    said = "\n".join(a.warnings(4))
    assert "a: 1.6 % of the numbers are saturated" in said
    assert "a: 3.91 % of the pixels have no data; they are masked" in said
    assert b.warnings(4) == []


def test_shift_is_found_and_warned_of(tmp_path: Path) -> None:
    folder = twins.folder_pairs(tmp_path / "quickbird", "abcd", style="folders", size=64)
    with rasterio.open(folder / "pan" / "c.tif", "r+") as file:
        file.write(np.roll(file.read(), (2, -1), (1, 2)))
    found = findings("quickbird", tmp_path)
    assert found["c"].shift == pytest.approx((-2, 1), abs=0.15)
    assert found["a"].shift == pytest.approx((0, 0), abs=0.15)
    (said,) = found["c"].warnings(4)
    assert "data.align=global" in said
    assert found["c"].fit is not None
    assert found["c"].fit[1] > found["c"].fit[0]


@pytest.mark.parametrize(("bits", "said"), [(10, "need 11 bits, the set is read as 10"), (14, "need only 11 bits")])
def test_bit_depth_that_does_not_fit(bits: int, said: str, tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=32)
    found = findings("quickbird", tmp_path, f"data.bits={bits}")
    assert said in found["a"].warnings(4)[0]


def test_files_of_patches(tmp_path: Path) -> None:
    twins.pancollection(tmp_path / "pancollection")
    found = findings("worldview3", tmp_path)
    train = found["train_wv3.h5 (6 patches)"]
    assert (train.sets, train.ms, train.shift) == (("train",), (8, 16, 16), None)
    assert found["test_wv3_OrigScale_multiExm1-00"].sets == ("full",)
    assert len(found) == 2 + 4


# --- the verb ---


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = door("data", ["check", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def places(folder: Path) -> tuple[str, str]:
    return f"paths.data={folder}", f"paths.cache={folder}/cache"


def test_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=64)
    code, out, err = check(capsys, "quickbird", *places(tmp_path))
    assert (code, err) == (0, "")
    for said in (
        "QuickBird: folder of GeoTIFF pairs (data.collection=folder) in",
        "licence:",
        "<scene>-pan.tif  <scene>-mul.tif",
        "other collections of this data set, not looked at: PanCollection, NBU_PansharpRSData",
        "4x64x64",
        "share no 32x32 tile",
    ):
        assert said in out


def test_overlap_is_a_mistake_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=64, seeds=[1, 2, 3, 1])
    code, out, err = check(capsys, "quickbird", *places(tmp_path), "data.split.test=[d]")
    assert code == 2
    assert "4x64x64" in out  # the table stands all the same
    assert err.startswith("error: data=quickbird: training, validation and test scenes share ground")
    assert "test d at (0, 0) = train a at (0, 0)" in err


def test_every_published_patch_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusionbench.data.record.PATCHES_CHECKED", 2)
    twins.pancollection(tmp_path / "pancollection")
    with h5py.File(tmp_path / "pancollection" / "test_wv3_multiExm1.h5") as test:
        stolen = test["gt"][0, :, 10:74, 20:84]
    with h5py.File(tmp_path / "pancollection" / "train_wv3.h5", "r+") as train:
        train["gt"][3] = stolen
    code, _, err = check(capsys, "worldview3", *places(tmp_path))
    assert code == 2
    assert "train patch 3" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quickbird"], "no files of QuickBird (data=quickbird) found"),
        (["quikbird"], "Did you mean data=quickbird"),
        (["quickbird", "data.source=simulated"], "simulated scenes are checked by fusionbench simulate --check"),
        (["quickbird", "data.splt.by=scene"], "splt"),
        ([], "fusionbench data check <id>"),
    ],
)
def test_mistakes(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = check(capsys, *arguments, *places(tmp_path))
    assert code == 2
    assert err.startswith("error: ")
    assert said in err


def test_missing_files_are_told_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from fusionbench.app.cli import door;"
        f"code = door('data', ['check', 'worldview3', 'paths.data={tmp_path}']);"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    for said in ("get it from: https://", "licence: ", "train_wv3.h5"):
        assert said in done.stderr
