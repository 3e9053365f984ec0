"""The cache: whole entries or none, damage noticed, two builders at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionbench.data import cache
from fusionbench.errors import DataError

KEY = cache.digest({"what": "a test"})


def writer(value: int = 1) -> Callable[[Path], Mapping[str, Any]]:
    def write(folder: Path) -> Mapping[str, Any]:
        np.save(folder / "ms.npy", np.full((2, 3, 4), value, np.uint16))
        return {"value": value}

    return write


def test_built_once_and_found_again(tmp_path: Path) -> None:
    assert cache.find(tmp_path, KEY) is None
    built = cache.build(tmp_path, KEY, writer())
    found = cache.find(tmp_path, KEY)
    assert found == built
    assert found is not None
    assert found.facts == {"value": 1}
    assert found.has("ms")
    assert not found.has("pan")
    array = found.array("ms")
    assert isinstance(array, np.memmap)
    assert array.shape == (2, 3, 4)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0, 0] = 5


def test_content_is_the_data_not_the_place(tmp_path: Path) -> None:
    a, b, c = (cache.build(tmp_path / n, KEY, writer(v)) for n, v in (("a", 1), ("b", 1), ("c", 2)))
    assert a.content == b.content != c.content
    assert cache.contents([a, c]) != cache.contents([c, a])


@pytest.mark.parametrize("damage", ["shorter", "changed", "no meta", "broken meta"])
def test_a_damaged_entry_is_built_again(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = cache.build(tmp_path, KEY, writer()).folder
    file, meta = folder / "ms.npy", folder / "meta.json"
    content = file.read_bytes()
    if damage == "shorter":
        file.write_bytes(content[:-4])
    elif damage == "changed":
        file.write_bytes(content[:-1] + b"\x07")
    elif damage == "no meta":
        meta.unlink()
    else:
        meta.write_text("{", encoding="utf-8")
    assert cache.find(tmp_path, KEY) is None
    assert "is damaged" in caplog.text
    assert cache.build(tmp_path, KEY, writer()).array("ms").max() == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_builder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> Mapping[str, Any]:
        np.save(folder / "ms.npy", np.zeros(3))
        raise DataError("no such pixel")

    with pytest.raises(DataError, match="no such pixel"):
        cache.build(tmp_path, KEY, fail)
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_builders_wins(tmp_path: Path) -> None:
    def slow(folder: Path) -> Mapping[str, Any]:
        cache.build(tmp_path, KEY, writer(1))
        return writer(2)(folder)

    assert cache.build(tmp_path, KEY, slow).facts == {"value": 1}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"paths\.cache=.*cannot be written"):
        cache.build(tmp_path / "file", KEY, writer())
    with pytest.raises(DataError, match=r"paths\.cache=.*cannot be written"):
        cache.remember(tmp_path / "file", KEY, lambda: 1)


def test_remembered_values(tmp_path: Path) -> None:
    calls: list[int] = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"dy": 1.5}

    assert [cache.remember(tmp_path, KEY, compute) for _ in range(3)] == [{"dy": 1.5}] * 3
    assert len(calls) == 1
    (tmp_path / f"{KEY[:32]}.json").write_text("{", encoding="utf-8")
    assert cache.remember(tmp_path, KEY, compute) == {"dy": 1.5}
    assert len(calls) == 2


def test_file_digest_sees_every_small_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(1000))
    before = cache.file_digest(path)
    path.write_bytes(bytes(999) + b"\x01")
    assert cache.file_digest(path) != before
    monkeypatch.setattr(cache, "WHOLE_FILE", 100)
    monkeypatch.setattr(cache, "BLOCK", 10)
    large = cache.file_digest(path)
    path.write_bytes(bytes(1001))
    assert cache.file_digest(path) != large


def test_code_digest_follows_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_code.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = cache.code_digest(("some_code",))
    (tmp_path / "some_code.py").write_text("A = 2\n")
    cache.code_digest.cache_clear()
    assert cache.code_digest(("some_code",)) != before


def test_digest_needs_no_order() -> None:
    assert cache.digest({"a": 1, "b": [1, 2]}) == cache.digest(json.loads('{"b": [1, 2], "a": 1}'))
