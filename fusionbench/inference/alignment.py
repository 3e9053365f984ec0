"""Where MS and PAN pixels lie relative to each other, from their georeference. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from affine import Affine

from fusionbench.errors import DataError

# a remainder below this many PAN px is left alone
NEGLIGIBLE = 0.02


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a pair, in PAN pixels counted from the first PAN pixel.

    The fused region is the PAN pixels [start, stop). The MS pixels [first, last) lie over it; MS pixel k is where the
    method expects it over PAN pixel ``origin + ratio k`` once the MS is moved by ``shift`` PAN pixels.
    """

    start: int
    stop: int
    first: int
    last: int
    origin: int
    shift: float


@dataclass(frozen=True)
class Alignment:
    """Rows and columns of a pair, and the rule that was used, in words."""

    rows: Axis
    columns: Axis
    rule: str


def axis_of(offset: float, ms_size: int, pan_size: int, ratio: int, grid: str) -> Axis | None:
    """One axis of a pair whose first MS pixel begins ``offset`` PAN pixels after the first PAN pixel does.

    ``grid`` is the one that the method expects: area (an MS pixel covers ratio PAN pixels) or dlpan (the MS sample
    lies half a PAN pixel further). None where MS and PAN do not meet.
    """
    expected = 0.5 if grid == "dlpan" and ratio % 2 == 0 else 0.0
    origin = math.floor(offset - expected + 0.5)
    # a sample that lies further than the method draws it must be moved by as much
    excess = offset - expected - origin
    start, stop = max(0, origin), min(pan_size, origin + ratio * ms_size)
    if start >= stop:
        return None
    first, last = (start - origin) // ratio, -((origin - stop) // ratio)
    return Axis(start, stop, first, last, origin, excess if abs(excess) >= NEGLIGIBLE else 0.0)


def align(
    ms_transform: Affine | None,
    pan_transform: Affine | None,
    ms_size: Sequence[int],
    pan_size: Sequence[int],
    ratio: int,
    grid: str,
    *,
    ungeoreferenced: str = "area",
    names: tuple[str, str] = ("lr", "guide"),
) -> Alignment:
    """Align MS and PAN by their transforms, or by their upper-left corners where one has none.

    Args:
        ms_transform: pixel to map, None without georeference.
        ms_size: rows, columns.
        ratio: MS pixel size over PAN pixel size that the method needs.
        grid: the grid that the method expects, area | dlpan.
        ungeoreferenced: the grid that a pair without georeference is taken to have.
        names: the two files, for messages.

    Raises:
        DataError: other ratio, rotation against each other, disjoint extents, sizes that are not in the ratio.
    """
    ms_name, pan_name = names
    if ms_transform is None or pan_transform is None:
        for side, ms, pan in zip(("rows", "columns"), ms_size, pan_size, strict=True):
            if abs(pan - ratio * ms) > 2 * ratio:
                raise DataError(
                    f"{ms_name} has {ms} {side} and {pan_name} {pan}: not in the ratio 1:{ratio} that the method "
                    "needs, and there is no georeference to align them by"
                )
        offsets = (0.0, 0.0) if ungeoreferenced == "area" or ratio % 2 else (0.5, 0.5)
        rule = f"no georeference: upper-left corners aligned, {ungeoreferenced} grid"
    else:
        ms_to_pan = ~pan_transform * ms_transform
        drift = max(
            abs(ms_to_pan.a - ratio) * ms_size[1],
            abs(ms_to_pan.e - ratio) * ms_size[0],
            abs(ms_to_pan.b) * ms_size[0],
            abs(ms_to_pan.d) * ms_size[1],
        )
        if drift > 1.0:
            raise DataError(
                f"pixel sizes of {ms_name} and {pan_name} are in the ratio {ms_to_pan.a:.4g} x {ms_to_pan.e:.4g}"
                f"{' (and rotated against each other)' if max(abs(ms_to_pan.b), abs(ms_to_pan.d)) > 1e-3 else ''}; "
                f"the method needs {ratio} x {ratio}: resample one of them first"
            )
        # the middle of the image, so that a rounded pixel size does not add up
        middle_row, middle_column = ms_size[0] / 2, ms_size[1] / 2
        column, row = ms_to_pan * (middle_column, middle_row)
        offsets = (row - ratio * middle_row, column - ratio * middle_column)
        rule = "aligned by georeference"
    rows, columns = (
        axis_of(offset, ms, pan, ratio, grid) for offset, ms, pan in zip(offsets, ms_size, pan_size, strict=True)
    )
    if rows is None or columns is None:
        raise DataError(f"the extents of {ms_name} and {pan_name} do not overlap")
    if rows.shift or columns.shift:
        rule += f"; MS moved by {rows.shift:+.2f} rows, {columns.shift:+.2f} columns (PAN px)"
    return Alignment(rows, columns, rule)
