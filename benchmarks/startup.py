"""How long a person waits for an answer: help, lists, a mistake, the first training batch."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Row, side_by_side

TITLE = "Start-up"
TRAIN = ["train", "model=pannet", "data=worldview3"]


def _verb(*arguments: str) -> Callable[[], object]:
    command = [sys.executable, "-m", "fusionbench.app.cli", *arguments]
    return lambda: subprocess.run(command, capture_output=True, check=False)


def _first_batch(folder: Path, number: int) -> float:
    """Seconds from the command to the first logged training batch; the run is then ended."""
    out = folder / f"run{number}"
    settings = ["trainer.log_every_n_steps=1", "trainer.progress=false", f"paths.cache={folder / 'cache'}"]
    command = [sys.executable, "-m", "fusionbench.app.cli", *TRAIN, *settings, f"paths.outputs={out}"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            if any(len(file.read_text().splitlines()) > 1 for file in out.glob("*/curves.csv")):
                return time.perf_counter() - begin
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait()
    raise RuntimeError(f"the run ended with {process.returncode} before its first batch")


def run() -> list[Row]:
    """Seconds from the command to its end, beside an interpreter that only imports torch and Lightning."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"paths.outputs={Path(folder) / 'outputs'}"
        bare = [sys.executable, "-c", "import torch, pytorch_lightning"]
        jobs: dict[str, Callable[[], object]] = {
            "import of torch and Lightning alone": lambda: subprocess.run(bare, check=True),
            "--help": _verb("--help"),
            "list models": _verb("list", "models"),
            "list data": _verb("list", "data"),
            "unknown model": _verb("train", "model=panet", "data=worldview3", out),
            "missing data": _verb(*TRAIN, "data.source=files", f"paths.data={folder}", out),
        }
        seconds = side_by_side(jobs, repeats=5)
        first = [_first_batch(Path(folder), number) for number in range(4)]
        seconds["first training batch, warm cache"] = statistics.median(first[1:])
    reference = seconds["import of torch and Lightning alone"]
    targets = {"first training batch, warm cache": "under 10 s"}
    return [
        Row(name, value, reference, "import torch, pytorch_lightning", reference / value,
            target=targets.get(name, "under 1.5 s"))
        for name, value in seconds.items()
        if value != reference
    ]  # fmt: skip
