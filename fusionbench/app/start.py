"""Start the work of a prepared run folder: in this process, or in one of its own. Torch-free until the work starts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusionbench.app import folder as folders


def needs_own_process(config: Mapping[str, Any]) -> bool:
    """Whether more than one device may be used: the other ranks then start the worker's command again, not ours."""
    trainer = config.get("trainer") or {}
    return str(trainer.get("devices", 1)) != "1" or int(trainer.get("num_nodes", 1)) != 1


def start(folder: Path, config: Mapping[str, Any], *, separate: bool) -> int:
    """Run the worker on a folder and return its exit code.

    Args:
        folder: run folder with ``config.yaml``.
        config: its content.
        separate: in a process of its own, so that a crash, a kill or a full memory ends one run and not the sweep.
    """
    allow = [str(name) for name in config.get("allow_packages") or ()]
    if not (separate or needs_own_process(config)):
        from fusionbench.app.worker import work

        return work(folder, allow)
    command = [sys.executable, "-m", "fusionbench.app.worker", str(folder), *(f"--allow={name}" for name in allow)]
    code = _wait(command)
    if code < 0:
        ended = signal.Signals(-code).name
        hint = ", perhaps for lack of memory" if ended == "SIGKILL" else ""
        folders.set_status(folder, "failed", f"the process was ended by {ended}{hint}", 1, config)
        return 1
    return code


def _wait(command: Sequence[str]) -> int:
    process = subprocess.Popen(command)

    def forward(number: int, frame: Any) -> None:
        process.send_signal(number)

    # Ctrl-C reaches the child by itself: it belongs to the same terminal.
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, forward),
        signal.SIGINT: signal.signal(signal.SIGINT, _nothing),
    }
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing(number: int, frame: Any) -> None:
    """Leave it to the child."""
