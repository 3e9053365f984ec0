"""What a person sees: short lines on standard error, tables on standard output. Torch-free."""

from __future__ import annotations

import sys
from typing import Any


def say(text: str) -> None:
    """One message on standard error."""
    sys.stderr.write(text.rstrip() + "\n")
    sys.stderr.flush()


def error(text: str) -> None:
    """What went wrong, on standard error."""
    say(f"error: {text}")


def show(*parts: Any) -> None:
    """Text or tables of rich on standard output; the full width also where the output is no terminal."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=160)
    for part in parts:
        console.print(part, highlight=False)
