"""Search for hyperparameters: trials are judged on validation, cut-off trials come again, laggards are pruned."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusionbench.app import sweep
from fusionbench.app.cli import door
from fusionbench.app.search import outcome
from fusionbench.errors import ConfigError, PrunedError
from tests.data.twins import folder_pairs

optuna = pytest.importorskip("optuna")


def sweeper(**settings: Any) -> Any:
    from hydra_plugins.fusionbench_optuna import OptunaSweeper

    defaults = {"n_trials": 2, "n_jobs": 1, "direction": "minimize", "sampler": "random", "pruner": "median"}
    return OptunaSweeper(**(defaults | {"seed": 0, "storage": None} | settings))


def test_a_search_finds_the_better_rate(tmp_path: Path) -> None:
    folder_pairs(tmp_path / "data" / "quickbird", names="abcde", size=16)
    folder = tmp_path / "search"
    places = [f"paths.data={tmp_path / 'data'}", f"paths.outputs={tmp_path}", f"paths.cache={tmp_path / 'cache'}"]
    settings = ["model=pannet", "data=quickbird", "data.source=files", "data.patch=16", "data.batch_size=2"]
    settings += ["trainer.max_steps=6", "trainer.val_every=3", "trainer.threads=1", "trainer.progress=false"]
    settings += ["evaluator.figures.scenes=0", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2"]
    search = "model.module.optimizer.lr=tag(log,interval(1e-5,1e-2))"
    assert door("train", ["-m", search, *settings, *places, f"hydra.sweep.dir={folder}"]) == 0
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'study.db'}")
    values = {trial.value for trial in study.trials}
    assert len(values) == 2
    assert {outcome(run)[1] for run in sweep.runs(folder)} == values
    assert all(1e-5 <= trial.params["model.module.optimizer.lr"] <= 1e-2 for trial in study.trials)
    assert all(trial.intermediate_values.keys() == {3, 6} for trial in study.trials)


def test_a_trial_that_was_cut_off_is_proposed_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    cut = sweeper()._study(url).ask(space)
    again = sweeper()._study(url)
    assert [trial.state.name for trial in again.trials] == ["FAIL", "WAITING"]
    assert again.ask(space).params == cut.params


def test_a_trial_that_falls_behind_is_pruned(tmp_path: Path) -> None:
    from fusionbench.regimes.pruning import Pruning

    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = sweeper()._study(url)
    for value in (1.0, 1.1, 0.9, 1.2, 1.0):
        trial = study.ask()
        trial.report(value, 10)
        study.tell(trial, value)
    callback = Pruning(url, "study", study.ask().number, "median")

    def validated(value: float) -> None:
        trainer = SimpleNamespace(
            state=SimpleNamespace(fn="fit"),
            callback_metrics={"val/ERGAS": value},
            is_global_zero=True,
            strategy=SimpleNamespace(broadcast=lambda x: x),
        )
        regime = SimpleNamespace(evaluator=SimpleNamespace(monitor=("val/ERGAS", "min")), batches_done=lambda: 10)
        callback.on_validation_end(trainer, regime)  # type: ignore[arg-type]

    with pytest.raises(PrunedError, match="pruned at step 10: val/ERGAS 5 falls behind"):
        validated(5.0)
    with pytest.raises(ConfigError, match="no such trial"):
        Pruning(url, "study", 99, "median")


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"direction": "up"}, "direction"), ({"pruner": "axe"}, "pruner"), ({"n_trials": 0}, "n_trials")],
)
def test_settings_that_cannot_be(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=rf"hydra\.sweeper\.{word}="):
        sweeper(**settings)


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_launchers_run_a_sweep(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    folder_pairs(tmp_path / "data" / "quickbird", names="abcde", size=16)
    folder = tmp_path / "sweep"
    places = [f"paths.data={tmp_path / 'data'}", f"paths.outputs={tmp_path}", f"paths.cache={tmp_path / 'cache'}"]
    settings = ["data=quickbird", "data.source=files", "data.patch=16", "evaluator.figures.scenes=0"]
    where = [f"hydra/launcher={launcher}", f"hydra.sweep.dir={folder}"]
    assert door("train", ["-m", "model=exp,brovey", *settings, *places, *where]) == 0
    assert [outcome(run)[0] for run in sweep.runs(folder)] == ["finished", "finished"]
