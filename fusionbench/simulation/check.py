"""Is the simulated world a fair test? Its statistics beside the ranges that real scenes and published tables give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionbench.sensors import Sensor
from fusionbench.simulation.materials import library
from fusionbench.simulation.observe import simulate_pair
from fusionbench.simulation.statistics import measure

SEEDS = (301, 302, 303, 304)  # the test scenes of the data configs
Score = Callable[[Sensor, np.ndarray, np.ndarray], Mapping[str, float]]

# statistic -> lowest and highest value of its mean over scenes
RANGES: Mapping[str, tuple[float, float]] = {
    "r2": (0.90, 0.985),
    "r2_detail": (0.70, 0.93),
    "detail_lowest": (0.60, 0.92),
    "detail_highest": (0.60, 0.92),
    "detail_outside": (-0.50, 0.0),
    "inverted": (0.05, 0.50),
    "adjacent_lowest": (0.93, 0.99),
    "adjacent_highest": (0.93, 0.99),
    "red_nir": (-0.5, 0.8),
    "slope": (-3.0, -2.0),
    "slope_nyquist": (-6.0, -4.0),
    "dark_blue": (0.5, 0.9),
    "dark_nir": (0.1, 0.5),
    "cv_lowest": (0.1, 0.8),
    "cv_highest": (0.1, 0.8),
    "level_lowest": (0.1, 0.3),
    "level_highest": (0.1, 0.3),
    "saturated": (0.0, 0.001),
    "snr_pan": (60, 170),
    "snr_ms": (100, 200),
    "shift": (0.0, 0.4),
    "bilinear": (0.05, 0.10),
    "shadow_urban": (0.05, 0.20),
    "brightness_sd": (0.10, 0.25),
    "metamers_of_other_height": (2, 99),
    # reduced resolution, 8 bands
    "EXP SAM": (4.0, 8.0),
    "EXP ERGAS": (5.0, 9.0),
    "EXP Q2n": (0.55, 0.75),
    "best classical / EXP": (0.5, 0.8),
    "injection by MTF over IHS": (1.0, 9.0),
    "order as real": (0.5, 1.0),
}
TABLED = ("EXP SAM", "EXP ERGAS", "EXP Q2n")  # ranges taken from tables of 8-band sensors


@dataclass(frozen=True)
class Finding:
    """One statistic: its value in the simulated world, in the real scenes at hand, and what is allowed.

    Args:
        name: of the statistic.
        value: mean over the simulated scenes.
        real: lowest and highest value among the real scenes, None without any.
        allowed: lowest and highest value allowed, None where there is no rule.
    """

    name: str
    value: float
    real: tuple[float, float] | None
    allowed: tuple[float, float] | None

    @property
    def passed(self) -> bool:
        """Whether the value, rounded to three digits as it is printed, is allowed."""
        return self.allowed is None or self.allowed[0] <= round(self.value, 3) <= self.allowed[1]


def run(
    sensor: Sensor,
    score: Score | None = None,
    real: Sequence[Mapping[str, float]] = (),
    seeds: Sequence[int] = SEEDS,
    size: int = 256,
) -> list[Finding]:
    """Simulate scenes, measure them, and hold each mean against its range.

    Args:
        sensor: its record.
        score: gives further numbers of a pair, such as the scores of classical methods at reduced resolution.
        real: statistics of real scenes, from ``statistics.measure`` and ``score``.
        seeds: one scene each.
        size: MS px.

    Returns:
        one finding per statistic.
    """
    rows: list[dict[str, float]] = []
    for seed in seeds:
        pair = simulate_pair(sensor, seed, size, truth=True)
        rows.append({**measure(sensor, pair["ms"], pair["pan"]), **_from_truth(pair)})
        if score is not None:
            rows[-1].update(score(sensor, pair["ms"], pair["pan"]))
    names = list(dict.fromkeys(name for row in rows for name in row))
    means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    means["metamers_of_other_height"] = float(len(metamers()))
    return [finding(name, value, real, len(sensor.bands)) for name, value in means.items()]


def finding(name: str, value: float, real: Sequence[Mapping[str, float]] = (), bands: int = 8) -> Finding:
    """A statistic's value beside the real scenes' and its range; tables give ranges of scores for 8 bands only."""
    seen = [row[name] for row in real if name in row]
    allowed = None if name in TABLED and bands != 8 else RANGES.get(name)
    return Finding(name, value, (min(seen), max(seen)) if seen else None, allowed)


def _from_truth(pair: Mapping[str, Any]) -> dict[str, float]:
    """What only the simulated world knows."""
    truth, meta = pair["truth"], pair["meta"]
    rows = {
        "snr_pan": float(meta["snr"][-1]),
        "snr_ms": float(np.mean(meta["snr"][:-1])),
        "shift": float(np.hypot(*meta["shift"])),
        "bilinear": float((truth["bilinear"] > 0).mean()),
        "brightness_sd": _spread_within_classes(truth["bright"], truth["classes"]),
    }
    if "urban" in meta["regions"]:
        rows["shadow_urban"] = float((truth["shadow"] > 0.5).mean())
    return rows


def _spread_within_classes(bright: np.ndarray, classes: np.ndarray) -> float:
    """Standard deviation of log brightness inside a class, over every fourth pixel."""
    level, label = np.log(bright[::4, ::4].ravel()), classes[::4, ::4].ravel()
    count = np.bincount(label)
    mean = np.bincount(label, level) / np.maximum(count, 1)
    return float(np.sqrt(((level - mean[label]) ** 2).mean()))


def metamers(most: float = 3.0) -> list[tuple[str, str]]:
    """Pairs of materials of which one stands tall and one lies low, with spectra less than ``most`` degrees apart."""
    tall = [m for m in library() if m.category in ("tree", "roof")]
    low = [m for m in library() if m.category in ("shrub", "grass", "crop", "soil", "road", "pavement")]
    return [(a.name, b.name) for a in tall for b in low if _angle(a.reflectance, b.reflectance) < most]


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(min(1.0, a @ b / np.sqrt((a @ a) * (b @ b))))))
