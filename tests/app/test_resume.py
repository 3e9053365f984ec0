"""Runs that are killed, asked to end, or broken: what they leave, and that resuming gives the same to the bit."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from fusionbench.app import compose
from fusionbench.app.cli import door
from fusionbench.app.worker import work
from fusionbench.evaluation.schema import read_environment, read_metrics, read_scenes, read_status, without_times
from fusionbench.regimes import read_checkpoint
from tests.app.runs import FEW_ROWS, ROOT, STEPS, prepare
from tests.data.twins import folder_pairs


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder of five GeoTIFF pairs, and a cache that all runs share."""
    root = tmp_path_factory.mktemp("base")
    folder_pairs(root / "data" / "quickbird", names="abcde", size=32, georeferenced=True)
    return root


@pytest.fixture(scope="module")
def whole(base):
    """An uninterrupted run."""
    folder = prepare(base, base / "whole" / "run")
    assert work(folder, []) == 0
    return folder


def started(folder: Path) -> subprocess.Popen:
    """The worker as a process of its own, once it has trained a few steps."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fusionbench.app.worker", str(folder)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 100
    while process.poll() is None and last_step(folder) < 25:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert process.poll() is None
    return process


def last_step(folder: Path) -> int:
    path = folder / "curves.csv"
    lines = path.read_text().splitlines() if path.is_file() else []
    return max((int(line.split(",")[0]) for line in lines[1:] if line.split(",")[0].isdigit()), default=0)


def results(folder: Path) -> dict[str, Any]:
    """Everything a run leaves that must not depend on how often it was interrupted; times excepted."""
    rows = [row | {"seconds": None} for row in csv.DictReader((folder / "scenes.csv").open())]
    weights = [read_checkpoint(folder / "checkpoints" / name)["state_dict"] for name in ("best.ckpt", "last.ckpt")]
    return {
        "metrics": without_times(read_metrics(folder)),
        "scenes": rows,
        "curves": (folder / "curves.csv").read_text(),
        "weights": [{name: value.numpy().tobytes() for name, value in part.items()} for part in weights],
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_after_a_kill_a_resumed_run_ends_like_an_uninterrupted_one(base, whole, tmp_path, workers):
    folder = prepare(base, tmp_path / "run", f"data.workers={workers}")
    process = started(folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last_step(folder) < STEPS
    assert read_status(folder).state == "running"
    assert door("train", [f"resume={folder}"]) == 0
    one, other = results(whole), results(folder)
    if workers:  # the number of loader processes is a setting, and named in the run's settings
        one["metrics"] = other["metrics"] = None
    assert one == other
    assert read_status(folder).state == "finished"


def test_sigterm_saves_after_the_running_step(base, whole, tmp_path):
    folder = prepare(base, tmp_path / "run")
    process = started(folder)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    status = read_status(folder)
    assert (status.state, status.exit_code) == ("interrupted", 143)
    saved = read_checkpoint(folder / "checkpoints" / "last.ckpt")["fusionbench"]["training"]["steps"]
    assert saved == last_step(folder)
    assert work(folder, []) == 0
    assert results(whole) == results(folder)


def test_a_run_leaves_all_its_artefacts(whole):
    names = {
        "config.yaml",
        "status.json",
        "metrics.json",
        "scenes.csv",
        "environment.json",
        "report.html",
        "split.json",
    }
    assert names <= {path.name for path in whole.iterdir()}
    metrics = read_metrics(whole)
    training = metrics.training
    assert (training.steps, training.samples, training.trained_on) == (STEPS, 2 * STEPS, "quickbird")
    assert training.trained_on_simulated is False
    assert {row.method for row in read_scenes(whole)} == {"pannet", "exp"}
    environment = read_environment(whole)
    assert environment.wall_seconds > 0
    assert environment.seed == 0
    assert json.loads((whole / "status.json").read_text())["exit_code"] == 0


def test_a_finished_run_is_not_repeated(whole, capsys):
    before = (whole / "metrics.json").stat().st_mtime_ns
    assert door("train", [f"resume={whole}"]) == 0
    assert "nothing to resume" in capsys.readouterr().err
    assert (whole / "metrics.json").stat().st_mtime_ns == before


def evaluate(base: Path, checkpoint: Path, *overrides: str) -> int:
    return door(
        "evaluate",
        [
            f"ckpt={checkpoint}",
            "data=quickbird",
            "data.source=files",
            f"paths.data={base / 'data'}",
            f"paths.outputs={base / 'evaluated'}",
            f"paths.cache={base / 'cache'}",
            f"hydra.run.dir={base / 'evaluated' / 'run'}",
            "trainer.accelerator=cpu",
            "trainer.progress=false",
            *FEW_ROWS,
            *overrides,
        ],
    )


def test_evaluating_a_checkpoint_gives_what_its_run_measured(base, whole):
    assert evaluate(base, whole / "checkpoints" / "best.ckpt") == 0
    again, before = read_metrics(base / "evaluated" / "run"), read_metrics(whole)
    for name, test_set in before.sets.items():
        assert again.sets[name].rows["pannet"].values == test_set.rows["pannet"].values
    assert again.training == before.training
    assert again.model.settings == before.model.settings


def test_a_checkpoint_for_other_data_is_refused(base, whole, capsys):
    checkpoint = whole / "checkpoints" / "best.ckpt"
    assert evaluate(base, checkpoint, "data.grid=dlpan") == 2
    assert "data.grid=area" in capsys.readouterr().err
    folder = base / "evaluated" / "worldview3"
    assert evaluate(base, checkpoint, "data=worldview3", "data.source=simulated", f"hydra.run.dir={folder}") == 2
    assert "made for 4 band(s) of lr (quickbird), WorldView-3 has 8" in capsys.readouterr().err
    assert read_status(folder).state == "failed"


def test_a_truncated_checkpoint_is_refused(base, whole, tmp_path, capsys):
    path = tmp_path / "cut.ckpt"
    path.write_bytes((whole / "checkpoints" / "best.ckpt").read_bytes()[:2000])
    assert evaluate(base, path) == 2
    assert "truncated" in capsys.readouterr().err


def test_a_crash_is_a_reason_and_a_file(base, tmp_path, monkeypatch, capsys):
    folder = prepare(base, tmp_path / "run")

    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("fusionbench.app.worker.build_trainer", broken)
    assert work(folder, []) == 1
    status = read_status(folder)
    assert (status.state, status.exit_code, status.reason) == ("failed", 1, "ZeroDivisionError: by nothing")
    assert "Traceback" in (folder / "crash.log").read_text()
    assert "Traceback" not in capsys.readouterr().err


def test_two_processes_never_work_in_one_folder(base, tmp_path, capsys):
    folder = prepare(base, tmp_path / "run")
    hold = (
        "import sys, pathlib; from fusionbench.app.folder import alone\n"
        "with alone(pathlib.Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    assert work(folder, []) == 2
    other.communicate()
    assert "another process is working in this folder" in capsys.readouterr().err


def test_a_diverging_run_says_so(base, tmp_path, capsys):
    folder = prepare(base, tmp_path / "run", "model.module.optimizer.lr=1e6", "model.module.clip_norm=null")
    assert work(folder, []) == 2
    assert "diverged at step" in read_status(folder).reason
    assert "diverged at step" in capsys.readouterr().err


def test_a_configuration_is_composed_inside_a_job_too():
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        running = GlobalHydra.instance().hydra
        assert compose.composed("evaluate", ["data=worldview2"]).data.card.id == "worldview2"
        assert GlobalHydra.instance().hydra is running
