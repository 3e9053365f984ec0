"""Shared ground is found wherever it lies, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from fusionbench.data.overlap import find_overlap, rolling_hash


def noise(seed: int, bands: int = 1, rows: int = 150, columns: int = 140, dtype: str = "uint16") -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 2047, (bands, rows, columns))
    return values.astype(dtype)


def test_hashes_are_equal_where_tiles_are_and_only_there() -> None:
    image = noise(0, 3, 40, 40)
    image[:, 20:36, 3:19] = image[:, 2:18, 24:40]
    hashes = rolling_hash(image, 16)
    assert hashes.shape == (25, 25)
    equal = [
        (i, j)
        for i in range(25)
        for j in range(25)
        if np.array_equal(image[:, i : i + 16, j : j + 16], image[:, 2:18, 24:40])
    ]
    assert equal == [(2, 24), (20, 3)]
    assert [tuple(map(int, at)) for at in np.argwhere(hashes == hashes[2, 24])] == equal


@pytest.mark.parametrize("at", [(0, 0), (13, 57), (87, 77)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_a_63_px_square_is_found_at_any_offset(at: tuple[int, int], dtype: str) -> None:
    test, train = noise(1, 2, dtype=dtype), noise(2, 2, dtype=dtype)
    row, column = at
    train[:, row : row + 63, column : column + 63] = test[:, 50:113, 40:103]
    found = find_overlap([("test a", test)], [("train b", train)])
    assert found
    for overlap in found:
        assert (overlap.first, overlap.second) == ("test a", "train b")
        assert np.subtract(overlap.second_at, overlap.first_at).tolist() == [row - 50, column - 40]
    assert str(found[0]).startswith("test a at (64, 64) = train b at")


def test_images_of_different_ground_do_not_meet() -> None:
    assert find_overlap([("a", noise(1))], [("b", noise(2)), ("c", noise(3))]) == []


def test_one_band_that_differs_is_enough() -> None:
    test = noise(1, 4)
    train = test.copy()
    train[3] += 1
    assert find_overlap([("a", test)], [("b", train)]) == []


def test_tiles_of_one_value_do_not_count() -> None:
    test, train = noise(1), noise(2)
    test[:, :80, :80] = train[:, 40:130, 40:130] = 0
    assert find_overlap([("a", test)], [("b", train)]) == []


def test_small_images_and_no_images() -> None:
    assert find_overlap([("a", noise(1, rows=20))], [("b", noise(1, rows=20))]) == []
    assert find_overlap([], [("b", noise(1))]) == []
    assert find_overlap([("a", noise(1))], []) == []


def test_it_stops_after_enough() -> None:
    assert len(find_overlap([("a", noise(1))], [("b", noise(1))], most=3)) == 3


def test_strips_do_not_hide_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionbench.data.overlap.STRIP", 16)
    test, train = noise(1), noise(2)
    train[:, 71:134, 9:72] = test[:, 0:63, 0:63]
    assert len(find_overlap([("a", test)], [("b", train)])) == 1
