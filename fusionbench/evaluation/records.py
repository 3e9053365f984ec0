"""Dataclasses to JSON and back, checked both ways, written whole or not at all. Torch-free."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from fusionbench.errors import DataError

T = TypeVar("T")

# JSON has no word for these
_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def encode(value: Any) -> Any:
    """Plain JSON types of a record; non-finite numbers as the words inf, -inf, nan.

    Raises:
        TypeError: for a value that JSON cannot hold.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value is None or isinstance(value, str | bool | int):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")


def decode(kind: Any, value: Any, where: str) -> Any:
    """A value of type ``kind`` from plain JSON types.

    Raises:
        DataError: naming the place, what stands there and what would be right.
    """
    if kind is Any:
        return value
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return decode(next(a for a in args if a is not type(None)), value, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_record(kind, value, where)
    if origin is dict:
        _expect(isinstance(value, Mapping), where, value, "a mapping")
        return {k: decode(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if origin in (list, tuple):
        _expect(isinstance(value, list | tuple), where, value, "a list")
        return origin(decode(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if kind is float:
        if isinstance(value, str) and value in _NON_FINITE:
            return _NON_FINITE[value]
        _expect(isinstance(value, int | float) and not isinstance(value, bool), where, value, "a number")
        return float(value)
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), where, value, "a whole number")
        return value
    _expect(isinstance(value, kind), where, value, f"a {kind.__name__}")
    return value


@lru_cache(maxsize=64)
def _shape(kind: type) -> tuple[dict[str, Any], dict[str, dataclasses.Field]]:
    """Types and fields of a record, worked out once: a leaderboard reads thousands."""
    return typing.get_type_hints(kind), {f.name: f for f in dataclasses.fields(kind)}


def _decode_record(kind: type, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), where, value, "a mapping")
    hints, fields = _shape(kind)
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise DataError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(fields)}")
    given = {}
    for name, f in fields.items():
        if name in value:
            given[name] = decode(hints[name], value[name], f"{where}.{name}")
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise DataError(f"{where}: key {name!r} is missing")
    try:
        return kind(**given)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _expect(fits: bool, where: str, value: Any, wanted: str) -> None:
    if not fits:
        raise DataError(f"{where}: expected {wanted}, got {value!r}")


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_record(path: Path, record: Any) -> None:
    """Write a record as JSON after reading it back in memory, so that nothing unreadable is ever written."""
    plain = encode(record)
    decode(type(record), plain, path.name)
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_record(kind: type[T], path: Path) -> T:
    """Read and check a record.

    Raises:
        DataError: the file is missing, is no JSON, or does not fit the schema; file and key are named.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from error
    result: T = decode(kind, plain, str(path))
    return result
