"""Pairs are put on one lattice by their georeference."""

from __future__ import annotations

import pytest
from affine import Affine

from fusionbench.errors import DataError
from fusionbench.inference.alignment import align, axis_of

PAN = Affine(0.5, 0, 1000, 0, -0.5, 2000)


def ms(offset: float = 0.0, ratio: float = 4.0) -> Affine:
    return PAN * Affine.translation(offset, offset) * Affine.scale(ratio)


def test_aligned_pair() -> None:
    axis = axis_of(0.0, 10, 40, 4, "area")
    assert axis is not None
    assert (axis.start, axis.stop, axis.first, axis.last, axis.origin, axis.shift) == (0, 40, 0, 10, 0, 0.0)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-6, (0, 34, 1, 10, -6)),  # MS begins before PAN: PAN px 0 lies in the middle of MS pixel 1
        (5, (5, 40, 0, 9, 5)),  # PAN begins before MS
    ],
)
def test_whole_pixel_offsets(offset: int, expected: tuple[int, ...]) -> None:
    axis = axis_of(offset, 10, 40, 4, "area")
    assert axis is not None
    assert (axis.start, axis.stop, axis.first, axis.last, axis.origin) == expected
    assert axis.shift == 0.0


def test_sub_pixel_offset_moves_the_ms() -> None:
    axis = axis_of(0.3, 10, 40, 4, "area")
    assert axis is not None
    assert axis.origin == 0
    assert axis.shift == pytest.approx(0.3)


def test_dlpan_method_on_a_georeferenced_pair() -> None:
    """The method draws MS samples half a PAN pixel too far: they are moved back."""
    axis = axis_of(0.0, 10, 40, 4, "dlpan")
    assert axis is not None
    assert (axis.origin, axis.shift) == (0, -0.5)


@pytest.mark.parametrize(("grid", "moved"), [("area", True), ("dlpan", False)])
def test_without_georeference(grid: str, moved: bool) -> None:
    result = align(None, None, (10, 10), (40, 40), 4, "dlpan", ungeoreferenced=grid)
    assert (result.rows.shift != 0) is moved
    assert "upper-left corners" in result.rule
    assert grid in result.rule


def test_rule_is_stated() -> None:
    assert align(ms(), PAN, (10, 10), (40, 40), 4, "area").rule == "aligned by georeference"
    assert "MS moved by +0.30 rows" in align(ms(0.3), PAN, (10, 10), (40, 40), 4, "area").rule


def test_other_ratio() -> None:
    with pytest.raises(DataError, match=r"ratio 3\.9 x 3\.9.*needs 4"):
        align(ms(ratio=3.9), PAN, (100, 100), (390, 390), 4, "area", names=("a.tif", "b.tif"))


def test_rotated() -> None:
    turned = PAN * Affine.rotation(2) * Affine.scale(4)
    with pytest.raises(DataError, match="rotated"):
        align(turned, PAN, (100, 100), (400, 400), 4, "area")


def test_disjoint_names_both_files() -> None:
    with pytest.raises(DataError, match=r"a\.tif and b\.tif do not overlap"):
        align(ms(400), PAN, (10, 10), (40, 40), 4, "area", names=("a.tif", "b.tif"))


def test_sizes_not_in_the_ratio() -> None:
    with pytest.raises(DataError, match="not in the ratio 1:4"):
        align(None, None, (10, 10), (40, 60), 4, "area")


def test_rounded_pixel_size_is_no_error() -> None:
    rounded = Affine(2.0000001, 0, 1000, 0, -2.0000001, 2000)
    assert align(rounded, PAN, (5000, 5000), (20000, 20000), 4, "area").rows.shift == 0.0
