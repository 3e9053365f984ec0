"""One of two processes that train together: ``python -m tests.regimes.two_processes <folder> <objective>``."""

from __future__ import annotations

import sys
from pathlib import Path

from .test_adversarial import fit, regime

if __name__ == "__main__":
    fit(regime(sys.argv[2]), Path(sys.argv[1]), max_steps=20, val_every=20, devices=2)
