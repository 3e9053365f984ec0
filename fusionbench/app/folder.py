"""A run folder: its resolved configuration, its status, who works in it. Torch-free."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation.records import write_text
from fusionbench.evaluation.schema import Status, now, read_status, write_status

CONFIG = "config.yaml"
STATUS = "status.json"
CRASH = "crash.log"


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the resolved configuration; a reader sees all of it or nothing."""
    write_text(folder / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=120))


def read_config(folder: Path) -> dict[str, Any]:
    """The resolved configuration of a run folder.

    Raises:
        ConfigError: the folder is none, or its config.yaml is missing or broken.
    """
    path = folder / CONFIG
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; a run folder lies in outputs/ and holds {CONFIG}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{folder}: is no run folder, it has no {CONFIG}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict) or not isinstance(config.get("run"), dict):
        raise ConfigError(f"{path}: is not the resolved configuration of a run (key 'run' is missing)")
    return config


def status(folder: Path) -> Status | None:
    """The status of a run folder, None where there is none yet."""
    if not (folder / STATUS).is_file():
        return None
    return read_status(folder)


def set_status(folder: Path, state: str, reason: str | None, exit_code: int | None, config: Mapping[str, Any]) -> None:
    """Write the state a run has come to, under the names its configuration gives it."""
    run, before = config.get("run") or {}, None
    with contextlib.suppress(DataError):
        before = status(folder)
    write_status(
        folder,
        Status(
            state,
            reason=reason,
            run=folder.name,
            model=run.get("model"),
            data=run.get("data"),
            seed=config.get("seed") if isinstance(config.get("seed"), int) else None,
            started=before.started if before is not None else now(),
            ended=None if state == "running" else now(),
            exit_code=exit_code,
            pid=os.getpid(),
        ),
    )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a run folder, so that no second process works in it; the hold ends with the process, however it ends.

    Raises:
        ConfigError: another process holds it.
    """
    with (folder / ".lock").open("w") as file:
        try:
            import fcntl
        except ImportError:  # not a POSIX system: nothing to hold with
            yield
            return
        try:
            # a record lock: the loader's processes do not inherit it, and so do not hold it on after a kill
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ConfigError(f"{folder}: another process is working in this folder") from None
        yield


def move_aside(folder: Path) -> Path:
    """Rename a run folder to make room for a new run of its name; where it then lies."""
    number, aside = 1, folder.with_name(f"{folder.name}-old")
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}-old-{number}")
    folder.rename(aside)
    folder.mkdir()
    return aside


def discard(folder: Path) -> None:
    """Remove a run folder in which nothing was computed."""
    if folder.is_dir() and not any(
        item.is_dir() or item.name not in (STATUS, CONFIG, ".lock") for item in folder.iterdir()
    ):
        shutil.rmtree(folder, ignore_errors=True)
