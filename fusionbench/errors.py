"""Errors that speak to the person at the keyboard. Torch-free; shown without a traceback, exit code 2."""

from __future__ import annotations


class UserError(Exception):
    """Something the user gave is wrong: the message says what, where (file, key, value) and what would be right."""


class ConfigError(UserError):
    """A name, key or value in the configuration is wrong."""


class RefusedError(ConfigError):
    """A model and a data set do not fit each other. In a sweep: a skipped row with this reason."""


class DataError(UserError):
    """Data are unreadable, inconsistent or not what the configuration says."""


class DataNotFoundError(DataError, FileNotFoundError):
    """Data are missing: the message says what to get, from where, under which licence and in which layout."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class DependencyNotFoundError(UserError):
    """An optional package is not installed: the message names the extra."""


class PrunedError(UserError):
    """A search gave up this run because others were better at the same step: no mistake, but no result either."""


class CheckpointError(UserError):
    """A checkpoint is truncated, foreign, incomplete, or does not match the data or the method."""


class DivergedError(UserError):
    """Training left the finite numbers, or its loss exploded: the message says when, and what was kept."""
