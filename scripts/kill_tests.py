"""Kill runs at random points and see that nothing is lost: ``python scripts/kill_tests.py [kind ...] [--times 20]``.

Kinds: training, scene (a method fitted to each scene), sweep, prediction. Each is done once without interruption; then,
``times`` times, it is started, ended at a random moment by SIGKILL or SIGTERM in turn, and continued until it is done,
killed again with even odds. What it leaves must equal what the uninterrupted one left (times excepted), SIGTERM must
end with 143, and no half-written file may stand at an output's place. Exit code 1 where that fails.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fusionbench.app import sweep  # noqa: E402
from fusionbench.evaluation.schema import read_metrics, read_scenes, without_times  # noqa: E402
from tests.data.twins import folder_pairs  # noqa: E402

CLI = [sys.executable, "-m", "fusionbench.app.cli"]


@dataclass
class Kind:
    """The command that begins a piece of work, or continues it where it was begun, and what it leaves."""

    command: Callable[[Path], list[str]]
    left: Callable[[Path], Any]


def records(run: Path) -> Any:
    """Metrics and rows of a run without times."""
    rows = [{**vars(row), "seconds": None} for row in read_scenes(run)]
    return without_times(read_metrics(run)), rows


def kinds(base: Path) -> dict[str, Kind]:
    """All kinds of work, on small images below ``base``."""
    settings = [
        "data=quickbird", "data.source=files", f"paths.data={base / 'data'}", f"paths.cache={base / 'cache'}",
        "data.patch=16", "data.batch_size=2", "evaluator.figures.scenes=0", "trainer.threads=1",
        "trainer.progress=false",
    ]  # fmt: skip
    lengths = ["trainer.max_steps=120", "trainer.val_every=20", "trainer.checkpoint_every=7"]

    def training(*overrides: str) -> Kind:
        def command(folder: Path) -> list[str]:
            begun = (folder / "run" / "config.yaml").is_file()
            begin = [*CLI, "train", *settings, *overrides, f"hydra.run.dir={folder / 'run'}"]
            return [*CLI, "train", f"resume={folder / 'run'}"] if begun else begin

        return Kind(command, lambda folder: records(folder / "run"))

    def swept(folder: Path) -> list[str]:
        begun = (folder / "sweep" / sweep.COMMAND).is_file()
        begin = [*CLI, "train", "-m", "model=exp,gsa,brovey", *settings, f"hydra.sweep.dir={folder / 'sweep'}"]
        return [*CLI, "train", f"resume={folder / 'sweep'}"] if begun else begin

    def predicted(folder: Path) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)
        pair = base / "data" / "quickbird"
        images = [f"inputs.lr={pair}/ms/a-ms.tif", f"inputs.guide={pair}/pan/a-pan.tif", f"out={folder}/fused.tif"]
        return [*CLI, "predict", f"ckpt={base / 'method' / 'run' / 'checkpoints' / 'best.ckpt'}", *images, "tile=32"]

    return {
        "training": training("model=pannet", "+model.module.network.channels=4", *lengths),
        "scene": training("model=gdd", "model.module.network.channels=4", "model.module.fit.steps=60"),
        "sweep": Kind(swept, lambda folder: [records(run) for run in sweep.runs(folder / "sweep")]),
        "prediction": Kind(predicted, lambda folder: (folder / "fused.tif").read_bytes()),
        "method": training("model=gsa"),  # for the predictions
    }


def run(command: list[str], seconds: float | None = None, number: int = signal.SIGKILL) -> int:
    """Exit code of a command; after ``seconds`` it is sent a signal."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if seconds is not None:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
    return process.wait()


def torment(name: str, kind: Kind, base: Path, times: int, dice: random.Random) -> list[str]:
    """What went wrong in ``times`` rounds."""
    whole = base / name / "whole"
    begin = time.perf_counter()
    if run(kind.command(whole)) != 0:
        return [f"{name}: the uninterrupted run failed"]
    duration, expected, wrong = time.perf_counter() - begin, kind.left(whole), []
    kills = 0
    for round_ in range(times):
        folder = base / name / f"round{round_}"
        while True:
            number = dice.choice([signal.SIGKILL, signal.SIGTERM])
            code = run(kind.command(folder), dice.uniform(0, duration), number)
            kills += code != 0
            if code not in (0, 143, -signal.SIGKILL, -signal.SIGTERM):
                wrong.append(f"{name}, round {round_}: exit code {code} after signal {number}")
                break
            if code == 0 or dice.random() < 0.5:
                break
        if run(kind.command(folder)) != 0:
            wrong.append(f"{name}, round {round_}: did not finish")
        elif kind.left(folder) != expected:
            wrong.append(f"{name}, round {round_}: left something else than the uninterrupted run")
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(f"{name}: {times} rounds, {kills} kills, {len(wrong)} wrong\n")
    return wrong


def main() -> int:
    """Run the kinds that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    names = ("training", "scene", "sweep", "prediction")
    parser.add_argument("kinds", nargs="*", default=list(names), metavar="kind", help=", ".join(names))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    unknown = [name for name in given.kinds if name not in names]
    if unknown:
        parser.error(f"no kind {unknown[0]!r}; there are {', '.join(names)}")
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        folder_pairs(base / "data" / "quickbird", names="abcde", size=32, georeferenced=True)
        found = kinds(base)
        if run(found["method"].command(base / "method")) != 0:
            raise SystemExit("the method for the predictions could not be made")
        wrong = []
        for name in given.kinds:
            wrong += torment(name, found[name], base, given.times, random.Random(given.seed))
    for text in wrong:
        sys.stdout.write(text + "\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
