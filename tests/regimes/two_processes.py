"""One of two processes that work together: ``python -m tests.regimes.two_processes <folder> <what>``.

What: ``regimes`` (a supervised, a staged and a per-scene run, one after the other), or an adversarial objective.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def two(folder: Path, what: str) -> None:
    """Start both processes and wait for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in ("0", "1"):
        env = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
        env |= {"LOCAL_RANK": rank, "NODE_RANK": "0", "WORLD_SIZE": "2"}
        command = [sys.executable, "-m", "tests.regimes.two_processes", str(folder), what]
        started.append(subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said


def _work(folder: Path, what: str) -> None:
    if what == "regimes":
        from .test_two_processes import everything

        everything(folder, devices=2)
        return
    from .test_adversarial import fit, regime

    fit(regime(what), folder, max_steps=20, val_every=20, devices=2)


if __name__ == "__main__":
    _work(Path(sys.argv[1]), sys.argv[2])
