"""Sweeps: where their runs lie, how they ended, how one continues, one leaderboard for all. Torch-free."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fusionbench.app import folder as folders
from fusionbench.app import leaderboard, screen
from fusionbench.data.cache import code_digest
from fusionbench.errors import ConfigError, DataError, UserError
from fusionbench.evaluation.records import write_text
from fusionbench.evaluation.schema import read_environment

COMMAND = "sweep.yaml"  # the command line of a sweep, in its folder

_folders: list[Path] = []
_command: list[str] = []


class SweepFolder(Callback):
    """Remembers the folder of the sweep that Hydra starts (its only name is in Hydra's own configuration), and leaves
    its command line there."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(str(config.hydra.sweep.dir)).absolute()
        _folders.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / COMMAND, yaml.safe_dump({"verb": _command[0], "arguments": _command[1:]}, width=120))


def begin(verb: str, arguments: Sequence[str]) -> None:
    """Start afresh, before a command line is given to Hydra."""
    _folders.clear()
    _command[:] = [verb, *arguments]


def command(folder: Path) -> tuple[str, list[str]] | None:
    """Verb and arguments that continue the sweep of a folder; None where the folder is no sweep's.

    Raises:
        ConfigError: its record is broken.
    """
    path = folder / COMMAND
    if not path.is_file():
        return None
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        verb, arguments = str(record["verb"]), [str(text) for text in record["arguments"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: is not the command line of a sweep ({error})") from error
    own = [text for text in arguments if not text.startswith("hydra.sweep.dir=")]
    return verb, [*own, f"hydra.sweep.dir={folder}"]


def current() -> Path | None:
    """The folder of the sweep that ran, None if none did."""
    return _folders[-1] if _folders else None


def changed(folder: Path, accept_old: bool, allow: Sequence[str] = ()) -> str | None:
    """Why a finished run would come out otherwise today, None where it would not.

    Args:
        folder: of the run.
        accept_old: another version of the code is no reason.
        allow: own packages that a ``_target_`` may name.
    """
    try:
        environment = read_environment(folder)
    except DataError as error:
        return str(error)
    if not accept_old and environment.code != code_digest(("fusionbench",)):
        return "the code has changed since; accept_old=true keeps it"
    worker = [sys.executable, "-m", "fusionbench.app.worker", str(folder), "--fingerprint"]
    found = subprocess.run([*worker, *(f"--allow={name}" for name in allow)], capture_output=True, text=True)
    if found.returncode != 0:
        return f"its data cannot be looked at ({' '.join(found.stderr.split())[:200]})"
    return None if found.stdout.strip() == environment.fingerprint else "its data have changed since"


def runs(folder: Path) -> list[Path]:
    """Run folders of a sweep, in order of their names."""
    return sorted(item.parent for item in folder.glob(f"*/{folders.STATUS}"))


def finish(folder: Path) -> int:
    """Say how each run of a sweep ended, write its leaderboard, and return the exit code.

    Returns:
        0 when all runs finished or were pruned, 2 when all were refused, else 1.
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
    if not states or all(state in ("finished", "pruned") for state in states):
        return 0
    return 2 if all(state == "skipped" for state in states) else 1
