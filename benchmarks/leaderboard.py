"""The leaderboard over thousands of runs, from their records alone."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row

TITLE = "Leaderboard"
RUNS, METHODS, DATA_SETS = 5000, 50, 10  # and as many seeds as make 5,000
INDICES = {"PSNR": "max", "SSIM": "max", "SAM": "min", "ERGAS": "min", "Q8": "max"}


def run() -> list[Row]:
    """Seconds of ``fusionbench leaderboard`` over 5,000 run folders beside reading their files and nothing more."""
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        for number in range(RUNS):
            _write(base, number)
        begin = time.perf_counter()
        for path in base.rglob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
        for path in base.rglob("*.csv"):
            list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        reading = time.perf_counter() - begin
        begin = time.perf_counter()
        command = [sys.executable, "-m", "fusionbench.app.cli", "leaderboard", str(base)]
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - begin
    return [Row(f"{RUNS} runs", whole, reading, "reading their files", reading / whole, "s", "seconds")]


def _write(base: Path, number: int) -> None:
    """One run folder: status, metrics and rows of four scenes."""
    from fusionbench.evaluation import schema

    method, rest = f"method{number % METHODS}", number // METHODS
    data, seed = f"sensor{rest % DATA_SETS}", rest // DATA_SETS
    folder = base / f"sweep{seed}" / f"{method}-{data}-s{seed}"
    folder.mkdir(parents=True)
    scenes = {f"scene{i}": schema.Scene(256, 256, 1.0, [float(i)]) for i in range(4)}
    lines = [
        schema.SceneRow("reduced", scene, name, kind, {k: 1 + (hash((method, scene, k)) % 97) / 97 for k in INDICES})
        for scene in scenes
        for name, kind in ((method, "network"), ("exp", "interpolation"), ("gsa", "classical"))
    ]
    rows = {}
    for name, kind in ((method, "network"), ("exp", "interpolation"), ("gsa", "classical")):
        own = [line for line in lines if line.method == name]
        values = {k: schema.summarise([line.values[k] for line in own]) for k in INDICES}
        rows[name] = schema.Row(name, name, kind, 4, {k: v for k, v in values.items() if v is not None})
    metrics = schema.Metrics(
        run=folder.name, method=method, label="real", seed=seed,
        data=schema.DataInfo(data, data, False, data, 8, 4, 11),
        model=schema.ModelInfo(method, method, "supervised", 2020, settings=method),
        training=schema.Training("demo", 2500, 20000, converged=True, trained_on=data, trained_on_simulated=False),
        evaluator=schema.EvaluatorInfo("spatiospectral", 1),
        indices={k: schema.IndexInfo(direction) for k, direction in INDICES.items()},
        sets={"reduced": schema.TestSet("Reduced resolution", list(INDICES), scenes, rows)},
    )  # fmt: skip
    schema.write_metrics(folder, metrics)
    schema.write_scenes(folder, lines)
    status = schema.Status("finished", run=folder.name, model=method, data=data, seed=seed, started="2026-01-01")
    schema.write_status(folder, status)


if __name__ == "__main__":
    for row in run():
        print(row)  # noqa: T201
