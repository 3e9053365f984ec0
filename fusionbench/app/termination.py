"""SIGTERM as an orderly end: at once, or after the running step where state has to be saved. Torch-free."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Terminated(BaseException):
    """The process was asked to end (SIGTERM). No Exception: nothing between here and the worker may swallow it."""


class Termination:
    """Turns SIGTERM into ``Terminated`` while it is active."""

    def __init__(self) -> None:
        self.asked = False
        self._deferred = False

    def __enter__(self) -> Termination:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGTERM, self._handle)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._main:
            signal.signal(signal.SIGTERM, self._before)

    def _handle(self, number: int, frame: Any) -> None:
        self.asked = True
        if not self._deferred:
            raise Terminated

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Wait for the end of the block: the trainer inside stops after its step and saves its state.

        Raises:
            Terminated: at the end of the block, where SIGTERM came during it.
        """
        self._deferred = True
        try:
            yield
        except SystemExit as error:  # how the trainer leaves a fit after SIGTERM
            if not self.asked:
                raise
            raise Terminated from error
        finally:
            self._deferred = False
        if self.asked:
            raise Terminated
