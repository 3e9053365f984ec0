"""A sweep that was stopped continues: finished runs stay, others run in their folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fusionbench.app import sweep
from fusionbench.app.cli import door
from fusionbench.errors import ConfigError
from fusionbench.evaluation.schema import read_environment, read_status, update_status
from tests.data.twins import folder_pairs


def start(base: Path) -> tuple[Path, dict[str, Path]]:
    """A finished sweep of two methods without training, and its run folders by model."""
    folder_pairs(base / "data" / "quickbird", names="abcde", size=16)
    places = [f"paths.data={base / 'data'}", f"paths.outputs={base}", f"paths.cache={base / 'cache'}"]
    settings = ["data=quickbird", "data.source=files", "data.patch=16", "trainer.progress=false"]
    settings += ["evaluator.figures.scenes=0"]
    folder = base / "sweep-1"
    code = door("train", ["-m", "model=exp,brovey", *settings, *places, f"hydra.sweep.dir={folder}"])
    assert code == 0
    return folder, by_model(folder)


def by_model(folder: Path) -> dict[str, Path]:
    return {str(read_status(run).model): run for run in sweep.runs(folder) if not run.name.endswith("-old")}


def test_finished_runs_stay_and_others_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, runs = start(tmp_path)
    update_status(runs["brovey"], "interrupted", "SIGTERM", 143)
    before = (runs["exp"] / "metrics.json").stat().st_mtime_ns
    (runs["brovey"] / "metrics.json").unlink()
    capsys.readouterr()
    assert door("train", [f"resume={folder}"]) == 0
    assert f"finished before: {runs['exp'].name}" in capsys.readouterr().err
    assert (runs["exp"] / "metrics.json").stat().st_mtime_ns == before
    assert read_status(runs["brovey"]).state == "finished"
    assert (runs["brovey"] / "metrics.json").is_file()
    assert by_model(folder) == runs

    # another version of the code: run again, unless that is accepted; other data: run again in any case
    record = json.loads((runs["exp"] / "environment.json").read_text())
    (runs["exp"] / "environment.json").write_text(json.dumps(record | {"code": "another"}))
    assert "the code has changed" in str(sweep.changed(runs["exp"], accept_old=False))
    assert sweep.changed(runs["exp"], accept_old=True) is None
    (runs["exp"] / "environment.json").write_text(json.dumps(record | {"fingerprint": "another"}))
    assert door("train", [f"resume={folder}", "accept_old=true"]) == 0
    assert (folder / f"{runs['exp'].name}-old").is_dir()
    assert read_environment(runs["exp"]).fingerprint == record["fingerprint"]


def test_a_resumed_sweep_takes_no_further_settings(tmp_path: Path) -> None:
    sweep.begin("train", ["-m", "model=exp,gsa", "data=quickbird"])
    (tmp_path / "sweep.yaml").write_text("verb: train\narguments: ['-m', 'model=exp', 'hydra.sweep.dir=elsewhere']\n")
    assert sweep.command(tmp_path) == ("train", ["-m", "model=exp", f"hydra.sweep.dir={tmp_path}"])
    assert door("train", [f"resume={tmp_path}", "seed=3"]) == 2
    (tmp_path / "sweep.yaml").write_text("nothing")
    with pytest.raises(ConfigError, match=r"sweep\.yaml: is not the command line"):
        sweep.command(tmp_path)
