"""Series of user density at points of a city, with land use: the comma-separated files beside CF-CNN's code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusionbench.data.layouts import matching
from fusionbench.errors import DataError

HOURS = 24
STEPS = 2 * HOURS  # the hours of two kinds of day
FILES = {  # of each subset: series, classes, coordinates
    "train": ("RTUD_Feature_Training.csv", "Class_TrainingSample.csv", "TrainingSample.csv"),
    "test": ("RTUD_Feature_Test.csv", "Class_TestSample.csv", "TestSample.csv"),
}
INTERLEAVED = ("RTUD_Feature_Test.csv",)  # hour 0 of either kind of day, hour 1, ...; the others a day after the other
HEADER = "Class"


@dataclass(frozen=True)
class Places:
    """Points of a city.

    Args:
        series: [n,48] float32, users per hour: 24 hours of the first kind of day, then 24 of the second.
        classes: [n] int64, land use from 0.
        metres: [n,2] float64, easting and northing.
    """

    series: np.ndarray
    classes: np.ndarray
    metres: np.ndarray


def read_user_density(root: Path, classes: int) -> dict[str, Places]:
    """The published training and test points, their series all in one order.

    Args:
        root: folder of the files.
        classes: K, of land use.

    Raises:
        DataError: a file that is absent, of another size than its neighbours, or holds what cannot be.
    """
    return {subset: _read(root, names, classes) for subset, names in FILES.items()}


def _read(root: Path, names: tuple[str, str, str], classes: int) -> Places:
    series_at, classes_at, places_at = (_path(root, name) for name in names)
    series = _numbers(series_at, 0)
    if series.shape[1] != STEPS:
        raise DataError(f"{series_at}: {series.shape[1]} columns; a point has {STEPS}: {HOURS} hours of two days")
    labels, places = _numbers(classes_at, 0), _numbers(places_at, 1)
    if labels.shape[1] != 1 or places.shape[1] != 3:
        raise DataError(
            f"{classes_at}: {labels.shape[1]} columns, {places_at}: {places.shape[1]}; one of classes, and three of "
            "class, easting and northing"
        )
    if not len(series) == len(labels) == len(places):
        raise DataError(
            f"{root}: {series_at.name} has {len(series)} points, {classes_at.name} {len(labels)}, {places_at.name} "
            f"{len(places)}; all list the same points"
        )
    found = labels[:, 0].astype(np.int64)
    if (found != labels[:, 0]).any() or found.min() < 0 or found.max() >= classes:
        raise DataError(f"{classes_at}: classes are whole numbers from 0 to {classes - 1}")
    differs = np.flatnonzero(found != places[:, 0])
    if len(differs):
        row = int(differs[0])
        raise DataError(
            f"{places_at}: point {row + 1} has class {places[row, 0]:g}, in {classes_at.name} {found[row]}; the files "
            "list other points or another order"
        )
    if (series < 0).any():
        raise DataError(f"{series_at}: a density below 0")
    return Places(_in_blocks(series, names[0], series_at).astype(np.float32), found, places[:, 1:])


def _path(root: Path, name: str) -> Path:
    found = matching(root, name)
    if not found:
        raise DataError(f"{root}: there is no {name}")
    return found[0]


def _numbers(path: Path, header: int) -> np.ndarray:
    """All numbers of a file [n,columns] float64."""
    try:
        if header and not path.read_text(encoding="utf-8-sig").startswith(HEADER):
            raise DataError(f"{path}: the first line names the columns, the first of them {HEADER}")
        values = np.loadtxt(path, delimiter=",", skiprows=header, ndmin=2, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a table of numbers ({error})") from error
    if not values.size or not np.isfinite(values).all():
        raise DataError(f"{path}: it is empty, or holds values that are not finite")
    return values


def _in_blocks(series: np.ndarray, name: str, path: Path) -> np.ndarray:
    """One day after the other, whatever the order in the file.

    The published files differ in it; a mean day is smooth in the right reading only, which is checked.
    """
    stored = series.reshape(-1, 2, HOURS) if name not in INTERLEAVED else series.reshape(-1, HOURS, 2).swapaxes(1, 2)
    other = series.reshape(-1, HOURS, 2).swapaxes(1, 2) if name not in INTERLEAVED else series.reshape(-1, 2, HOURS)
    if _roughness(stored) > _roughness(other):
        order = "hour by hour, both days in turn" if name in INTERLEAVED else "one day after the other"
        raise DataError(f"{path}: columns are not in the published order ({order}): the mean day jumps about")
    return stored.reshape(-1, STEPS)


def _roughness(days: np.ndarray) -> float:
    return float(np.abs(np.diff(days.mean(0), axis=-1)).sum())
