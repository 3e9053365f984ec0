"""The verb ``leaderboard``: all runs below a folder as tables and one page. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusionbench.app import screen
from fusionbench.app.check import unwritable
from fusionbench.errors import ConfigError
from fusionbench.evaluation.leaderboard import as_tables
from fusionbench.evaluation.leaderboard import leaderboard as read

DEFAULT = "outputs"


def leaderboard(arguments: Sequence[str]) -> int:
    """``fusionbench leaderboard [<folder>]``: print the tables and write them into the folder.

    Raises:
        ConfigError: more than one folder, or an option there is not.
        DataError: no such folder, no run below it, or it cannot be written.
    """
    if len(arguments) > 1 or any(text.startswith("-") for text in arguments):
        raise ConfigError(f"leaderboard takes one folder, e.g. fusionbench leaderboard {DEFAULT}/")
    show(Path(arguments[0] if arguments else DEFAULT).expanduser())
    return 0


def show(folder: Path) -> None:
    """Print the leaderboard of a folder and write it there as page, CSV, Markdown and LaTeX.

    Raises:
        DataError: no such folder, no run below it, or it cannot be written.
    """
    found = read(folder)
    screen.show(*as_tables(found))
    try:
        files = found.write(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    screen.say(f"leaderboard: {', '.join(map(str, files))}")
