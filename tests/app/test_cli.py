"""Commands as a person types them: what a mistake says, its exit code, how soon it answers; torch stays out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# leaves with 99 where torch was imported on the way to the answer
PROBE = (
    "import sys; from fusionbench.app.cli import main; code = main(); sys.exit(99 if 'torch' in sys.modules else code)"
)


def run(*arguments: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """A verb in a process of its own."""
    command = [sys.executable, "-c", PROBE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, timeout=60)


def mistakes(tmp_path: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Command lines that are wrong, and what their answer holds."""
    out, pair = f"paths.outputs={tmp_path}/out", ["train", "model=pannet", "data=worldview3"]
    nothing = f"paths.data={tmp_path}/none"
    return {
        "unknown model": (["train", "model=panet", "data=worldview3"], ["model=panet", "model=pannet"]),
        "unknown data": (["train", "model=pannet", "data=worldview33", out], ["data=worldview33", "worldview3"]),
        "no model": (["train", "data=worldview3", out], ["model is not given", "pannet"]),
        "key typo": ([*pair, out, "trainer.max_step=3"], ["max_step"]),
        "no override": ([*pair, out, "seed"], ["seed"]),
        "odd value": ([*pair, out, "trainer.max_steps=many"], ["trainer.max_steps=many", "whole number"]),
        "missing data": (
            [*pair, out, "data.source=files", nothing],
            ["WorldView-3", "licence", "get it from", "train_wv3.h5", "data.source=simulated"],
        ),
        "role": ([*pair, out, "model.card.bind.guide=sar"], ["it needs sar", "Models that fit", "Data sets that fit"]),
        "unwritable outputs": ([*pair, f"paths.outputs={tmp_path}/file/out"], [f"{tmp_path}/file"]),
        "resume nothing": (["train", f"resume={tmp_path}/none"], ["no such folder"]),
        "resume with more": (["train", f"resume={tmp_path}", "seed=1"], ["seed=1", "config.yaml"]),
        "no checkpoint": (["evaluate", f"ckpt={tmp_path}/x.ckpt", "data=worldview3", out], ["x.ckpt", "no such file"]),
        "predict without inputs": (["predict", f"ckpt={tmp_path}/x.ckpt"], ["predict ckpt="]),
        "unknown verb": (["trian"], ["trian", "train"]),
        "unknown task": (["list", "models", "--task", "weather"], ["weather", "pansharpening"]),
    }


@pytest.mark.parametrize("case", mistakes(Path("unused")))
def test_a_mistake_is_answered_before_torch_is_imported(case: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments, words = mistakes(tmp_path)[case]
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert "the output folder" not in done.stderr or case == "unwritable outputs"
    for word in words:
        assert word in done.stderr
    assert not list((tmp_path / "out").rglob("config.yaml")), "a refused run leaves no folder"


def test_lists_and_help_do_without_torch() -> None:
    for arguments in (["list", "models"], ["list", "data"], ["describe", "pannet"], ["--help"], ["train", "--help"]):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_a_sweep_goes_on_after_a_refused_run(tmp_path: Path) -> None:
    done = run(
        "train", "-m", "model=pannet,pnn", "data=worldview3", "model.card.bind.guide=sar", f"paths.outputs={tmp_path}"
    )
    assert done.returncode == 2, done.stderr
    rows = [line for line in done.stderr.splitlines() if line.startswith("skipped")]
    assert len(rows) == 2
    assert all("it needs sar" in row for row in rows)
