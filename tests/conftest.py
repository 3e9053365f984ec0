"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_root() -> Path:
    """Folder of real images and published values, when there is one."""
    return Path(os.environ.get("FUSIONBENCH_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    root = shared_root()
    if not root.is_dir():
        pytest.skip("no folder of real data: set FUSIONBENCH_SHARED or place it beside the project")
    return root


@pytest.fixture(scope="session")
def references() -> Path:
    """Values of the field's MATLAB toolbox on our synthetic images (tests/data/references)."""
    return ROOT / "tests" / "data" / "references"
