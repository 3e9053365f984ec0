"""Training patches at full resolution: MS and PAN themselves, without a target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fusionbench.errors import ConfigError

from . import twins
from .composing import module


def test_full_patches_are_cut_from_the_native_pair(tmp_path: Path) -> None:
    twins.nbu(tmp_path)
    files = module("worldview3", tmp_path, "data.source=files", "data.patch=16", "data.train_on=full")
    files.setup("fit")
    dataset = files.train_dataset()
    sample = dataset.item(0, np.random.default_rng(0))
    assert "target" not in sample
    assert sample["lr"].shape == (8, 4, 4)
    assert sample["guide"].shape == (1, 16, 16)
    part = next(p for p in files.parts("train") if p.name == sample["scene"])
    ms, pan = (torch.from_numpy(np.array(part.entry.array(name), np.float32)) / 2047 for name in ("ms", "pan"))
    found = (
        (ms.unfold(1, 4, 1).unfold(2, 4, 1).permute(1, 2, 0, 3, 4) == sample["lr"]).all(-1).all(-1).all(-1).nonzero()
    )
    assert any(torch.equal(pan[:, 4 * r : 4 * r + 16, 4 * c : 4 * c + 16], sample["guide"]) for r, c in found.tolist())
    assert float(sample["gsd"]) == pytest.approx(1.24 / 4)


def test_ready_patches_have_no_full_resolution(tmp_path: Path) -> None:
    twins.pancollection(tmp_path / "pancollection")
    files = module("worldview3", tmp_path, "data.source=files", "data.train_on=full")
    with pytest.raises(ConfigError, match=r"data\.train_on=reduced"):
        files.train_dataset()
    with pytest.raises(ConfigError, match="reduced, full"):
        module("worldview3", tmp_path, "data.source=files", "data.train_on=native")
