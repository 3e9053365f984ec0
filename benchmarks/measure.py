"""Time things side by side and describe the machine they ran on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One measured figure: ours beside a reference on the same work in the same run.

    Args:
        what: the work.
        ours: seconds, or units per second where `unit` says so.
        reference: the same for the reference; None where there is none.
        against: what the reference is.
        ratio: how many times faster ours is (above 1: faster).
        unit: of `ours` and `reference`.
        target: the ratio (or figure) aimed at, in words.
    """

    what: str
    ours: float
    reference: float | None
    against: str
    ratio: float | None
    unit: str = "s"
    target: str = ""


def side_by_side(jobs: Mapping[str, Callable[[], Any]], repeats: int, budget: float = 20.0) -> dict[str, float]:
    """Median seconds of each job; the jobs take turns, so that a busy moment hits all of them alike.

    Args:
        jobs: work by name.
        repeats: turns, after one to warm up.
        budget: seconds after which no further turn starts: slow work is measured less often, at least once.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    began = time.perf_counter()
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
        if time.perf_counter() - began > budget:
            break
        if turn == 0:
            seconds = {name: [] for name in jobs}
    return {name: statistics.median(values) for name, values in seconds.items()}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(total / 2**20, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def write(name: str, title: str, rows: list[Row]) -> Path:
    """Write one benchmark's rows as JSON; figures with three significant digits."""
    RESULTS.mkdir(exist_ok=True)
    plain = [
        {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in asdict(row).items()}
        for row in rows
    ]
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps({"title": title, "machine": machine(), "rows": plain}, indent=1) + "\n", encoding="utf-8"
    )
    return path
