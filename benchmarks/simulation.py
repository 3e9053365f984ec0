"""Seconds to simulate a PAN / MS scene."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

from benchmarks.measure import Row, side_by_side
from fusionbench.sensors import Sensor, load_sensor
from fusionbench.simulation import simulate_pair

TITLE = "Simulation"
TARGETS = {256: "under 10 s", 512: "under 40 s"}


def _next(sensor: Sensor, seeds: Iterator[int], size: int) -> None:
    simulate_pair(sensor, next(seeds), size)


def run() -> list[Row]:
    """WorldView-3 scenes of 256x256 and 512x512 MS pixels, one process."""
    sensor, rows = load_sensor("worldview3"), []
    for size, target in TARGETS.items():
        job = partial(_next, sensor, count(900), size)
        seconds = side_by_side({"ours": job}, repeats=3, budget=60)["ours"]
        rows.append(Row(f"WorldView-3, {size}x{size} MS", seconds, None, "", None, target=target))
    return rows
