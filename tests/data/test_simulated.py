"""Where there are no files the sensor is simulated: one scene per seed, the same on every machine, degraded by Wald."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from .composing import module

SMALL = "data.simulation={{size: 32, train: [{}], val: [{}], test: [{}]}}"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this file."""
    return tmp_path_factory.mktemp("simulated")


def simulated(folder: Path, *overrides: str, seeds: tuple[int, int, int] = (101, 201, 301)) -> Any:
    return module("quickbird", folder, SMALL.format(*seeds), "data.patch=16", *overrides)


def test_batches_of_the_simulated_world(folder: Path) -> None:
    data = simulated(folder)
    data.setup("fit")
    data.setup("test")
    assert data.simulated
    assert (data.grid, data.test_sets) == ("area", ["reduced", "full"])
    sample = data.train_dataset().item(0, np.random.default_rng(0))
    assert sample["target"].shape == (4, 16, 16)
    assert sample["lr"].shape == (4, 4, 4)
    reduced, full = (data.test_dataset(name)[0] for name in data.test_sets)
    assert reduced["target"].shape == (4, 32, 32)
    assert full["guide"].shape == (1, 128, 128)
    assert "target" not in full
    assert torch.equal(full["lr"], reduced["target"])
    assert (reduced["scene"], reduced["sensor"]) == ("quickbird-301", "quickbird")
    summary = data.summary()
    assert summary["simulation"]["train"] == [101]
    assert summary["missing_pixels"] == {}


def test_parts_of_a_seed_are_the_same_again(folder: Path, tmp_path: Path) -> None:
    first, again = simulated(folder), simulated(tmp_path)
    assert first.fingerprint == again.fingerprint
    assert first.parts("test")[0].entry.content == again.parts("test")[0].entry.content
    assert first.parts("test")[0].entry.content != first.parts("val")[0].entry.content
    assert simulated(folder, seeds=(102, 201, 301)).fingerprint != first.fingerprint
