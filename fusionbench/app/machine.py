"""The machine a run works on: threads, allocator, versions, peak memory."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fusionbench import __version__
from fusionbench.data.cache import code_digest
from fusionbench.evaluation.schema import Environment

_PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scipy",
    "rasterio",
    "h5py",
)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more


def prepare(config: Mapping[str, Any]) -> None:
    """Set threads and allocator for a run.

    glibc gives large blocks back to the system when they are freed and faults them in again at the next step; kept,
    training of convolutions on CPU is faster by about a fifth.
    """
    with contextlib.suppress(OSError, AttributeError):  # no glibc: nothing to set
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, 2**30)
    threads = (config.get("trainer") or {}).get("threads")
    if threads is not None:
        torch.set_num_threads(int(threads))


def environment(config: Mapping[str, Any], data_fingerprint: str, wall_seconds: float | None) -> Environment:
    """What this run's result depends on beside its configuration, measured at its end."""
    trainer = config.get("trainer") or {}
    commit, dirty = _commit()
    gpu = torch.cuda.is_available() and trainer.get("accelerator") != "cpu"
    devices = trainer.get("devices", 1)
    return Environment(
        versions={"fusionbench": __version__} | _versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        device=torch.cuda.get_device_name() if gpu else _cpu(),
        devices=devices if isinstance(devices, int) else 1,
        precision=str(trainer.get("precision", "32-true")),
        threads=torch.get_num_threads(),
        commit=commit,
        dirty=dirty,
        seed=config.get("seed"),
        fingerprint=data_fingerprint,
        wall_seconds=None if wall_seconds is None else round(wall_seconds, 3),
        peak_memory_mb=peak_memory_mb(),
        code=code_digest(("fusionbench",)),
        peak_device_memory_mb=round(torch.cuda.max_memory_allocated() / 2**20, 1) if gpu else None,
    )


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far, MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> tuple[str | None, bool | None]:
    """The checkout's commit and whether files differ from it; None where this is no checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        git = ["git", "-C", str(root)]
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit.stdout.strip(), bool(changed.stdout.strip())
