"""Sweeps: where their runs lie, how they ended, one leaderboard for all. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fusionbench.app import folder as folders
from fusionbench.app import leaderboard, screen
from fusionbench.errors import UserError

_folders: list[Path] = []


class SweepFolder(Callback):
    """Remembers the folder of the sweep that Hydra starts (its only name is in Hydra's own configuration)."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _folders.append(Path(str(config.hydra.sweep.dir)).absolute())


def forget() -> None:
    """Start afresh, before a command line is given to Hydra."""
    _folders.clear()


def current() -> Path | None:
    """The folder of the sweep that ran, None if none did."""
    return _folders[-1] if _folders else None


def runs(folder: Path) -> list[Path]:
    """Run folders of a sweep, in order of their names."""
    return sorted(item.parent for item in folder.glob(f"*/{folders.STATUS}"))


def finish(folder: Path) -> int:
    """Say how each run of a sweep ended, write its leaderboard, and return the exit code.

    Returns:
        0 when all runs finished, 2 when all were refused, else 1.
    """
    states = []
    for run in runs(folder):
        status = folders.status(run)
        if status is None:
            continue
        states.append(status.state)
        reason = f": {status.reason.splitlines()[0]}" if status.reason else ""
        screen.say(f"{status.state:<12}{run.name}{reason}")
    if states:
        try:
            leaderboard.show(folder)
        except UserError as error:  # the runs are what counts
            screen.error(str(error))
    if not states or all(state == "finished" for state in states):
        return 0
    return 2 if all(state == "skipped" for state in states) else 1
