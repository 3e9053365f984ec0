"""Hyperspectral cubes in the published layouts, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionbench.data.readers.cube import read_cube
from fusionbench.errors import ConfigError, DataError, DataNotFoundError
from tests.data.composing import config, module
from tests.data.twins import mat

SMALL = ["data.patch=8", "data.patches_per_epoch=4", "data.batch_size=2"]


def cube(bands: int, rows: int = 44, columns: int = 36, seed: int = 0) -> np.ndarray:
    """[rows, columns, bands], smooth in the spectrum, positive."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 1, (rows, columns, 3))
    curves = np.stack([np.linspace(0.2, 1, bands), np.linspace(1, 0.3, bands), np.full(bands, 0.5)])
    return (3000 * weights @ curves).astype(np.uint16)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_one_scene_by_quadrants(tmp_path: Path, version: str) -> None:
    values = cube(103)
    mat(tmp_path / "paviau" / "PaviaU.mat", {"paviaU": values}, version)
    data = module("pavia_university", tmp_path, "data.split.fold=1", *SMALL)
    data.setup(None)
    assert not data.simulated
    (batch,) = list(data.test_dataloader()[0])
    # rows 0..17 and columns 22..35: half the guard of 8 px is taken off at the inner edges, then whole coarse pixels
    assert batch["target"].shape == (1, 103, 16, 12)
    expected = np.moveaxis(values[0:16, 22:34], -1, 0) / 8000
    np.testing.assert_allclose(batch["target"][0], expected, rtol=1e-6)
    assert batch["lr"].shape == (1, 103, 4, 3)
    assert batch["guide"].shape == (1, 4, 16, 12)
    guide = torch.einsum("kb,bij->kij", batch["srf"][0], batch["target"][0])
    noise = (batch["guide"][0] - guide).square().mean() / guide.square().mean()
    assert 10 * float(torch.log10(noise)) == pytest.approx(-40, abs=1)  # 40 dB, as the card states
    torch.testing.assert_close(batch["srf"].sum(-1), torch.ones(1, 4))
    torch.testing.assert_close(batch["psf"].sum((1, 2)), torch.ones(1))
    patch = next(iter(data.train_dataloader()))
    assert patch["lr"].shape == (2, 103, 2, 2)
    assert patch["target"].shape == (2, 103, 8, 8)
    names = {subset: [part.name for part in data.parts(subset)] for subset in ("train", "val", "test")}
    assert names == {"train": ["PaviaU-q3", "PaviaU-q0"], "val": ["PaviaU-q2"], "test": ["PaviaU-q1"]}


def test_folds_take_turns_and_share_no_pixel(tmp_path: Path) -> None:
    mat(tmp_path / "paviau" / "PaviaU.mat", {"paviaU": cube(103)})
    seen: dict[str, set[tuple[int, ...]]] = {}
    for fold in range(4):
        data = module("pavia_university", tmp_path, f"data.split.fold={fold}", *SMALL)
        data.setup(None)
        windows = {s: {tuple(p.entry.facts["window"]) for p in data.parts(s)} for s in ("train", "val", "test")}
        assert not windows["test"] & (windows["train"] | windows["val"])
        seen.setdefault("test", set()).update(windows["test"])
    assert len(seen["test"]) == 4


def test_scenes_by_name(tmp_path: Path) -> None:
    for number, stem in enumerate(("a_ms", "b_ms", "c_ms")):
        mat(tmp_path / "cave" / f"{stem}.mat", {"hsi": cube(31, 32, 32, number) / 6000.0})
    data = module("cave", tmp_path, "data.split.val=[b_ms]", "data.split.test=[c_ms]", *SMALL)
    data.setup(None)
    assert [part.name for part in data.parts("test")] == ["c_ms"]
    assert [part.name for part in data.parts("train")] == ["a_ms"]
    with pytest.raises(DataError, match=r"no scene d_ms .* a_ms, b_ms, c_ms"):
        module("cave", tmp_path, "data.split.val=[]", "data.split.test=[d_ms]", *SMALL).setup(None)


def test_pixels_in_columns(tmp_path: Path) -> None:
    values = cube(5, 4, 3)
    path = mat(tmp_path / "a.mat", {"Y": values.transpose(2, 1, 0).reshape(5, 12), "nRow": 4, "nCol": 3})
    found = read_cube(path, ["Y"], 5, {"rows": "nRow", "columns": "nCol"})
    np.testing.assert_array_equal(found, np.moveaxis(values, -1, 0))
    with pytest.raises(DataError, match=r"none of Z is in it; there are Y \(5, 12\)"):
        read_cube(path, ["Z"], 5)
    with pytest.raises(DataError, match="Y must be"):
        read_cube(path, ["Y"], 6, {"rows": "nRow", "columns": "nCol"})
    other = mat(tmp_path / "b.mat", {"hsi": cube(5, 4, 3)})
    with pytest.raises(DataError, match="a cube of 7 bands was expected"):
        read_cube(other, ["hsi"], 7)


def test_the_real_scene(shared: Path) -> None:
    folder = shared / "data"
    path = folder / "hyperspectral" / "jasper_ridge" / "jasperRidge2_R198.mat"
    found = read_cube(path, ["Y"], 198, {"rows": "nRow", "columns": "nCol"})
    assert found.shape == (198, 100, 100)
    assert found.max() == 5437


def test_simulated_pairs(tmp_path: Path) -> None:
    small = ["data.simulation.size=32", "data.simulation.train=[101]", "data.simulation.test=[301]", *SMALL]
    data = module("pavia_centre", tmp_path, *small)
    data.setup(None)
    assert data.simulated
    (batch,) = list(data.test_dataloader()[0])
    assert batch["target"].shape == (1, 102, 32, 32)
    assert batch["guide"].shape == (1, 1, 32, 32)
    assert 0 < float(batch["target"].mean()) < 1  # reflectance
    told: Any = module("pavia_centre", tmp_path, "data.knowledge=nominal", *small)
    told.setup("test")
    (other,) = list(told.test_dataloader()[0])
    torch.testing.assert_close(other["lr"], batch["lr"])
    assert not torch.equal(other["srf"], batch["srf"])


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"PaviaU\.mat"):
        module("pavia_university", tmp_path, "data.source=files")
    with pytest.raises(ConfigError, match=r"data\.knowledge=all"):
        module("pavia_university", tmp_path, "data.knowledge=all")
    with pytest.raises(ConfigError, match=r"data\.patch=30: a multiple of the ratio 4"):
        module("pavia_university", tmp_path, "data.patch=30")
    assert config("pavia_university", tmp_path).data.card.task == "hs_ms_fusion"
