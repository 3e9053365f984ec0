"""Trainings in stages: only what a stage trains moves, and an interruption leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fusionbench.errors import CheckpointError, ConfigError, DataError, DivergedError
from fusionbench.losses import L1, MSE, LossSet
from fusionbench.regimes import SolverStage, Staged, TrainingStage, staged
from fusionbench.regimes.checkpoint import checkpoint_facts, read_checkpoint
from fusionbench.regimes.logger import CsvLogger
from fusionbench.regimes.training import build_trainer
from tests.regimes import small
from tests.regimes.test_resume import Cut, CutAt, assert_equal, outcome


class Helper(nn.Module):
    """PAN from MS; has statistics that a frozen part must keep."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(small.BANDS)
        self.mix = nn.Conv2d(small.BANDS, 1, 1)
        self.drop = nn.Dropout(0.2)

    def forward(self, image: Tensor) -> Tensor:
        return self.mix(self.drop(self.norm(image)))


class Mean(nn.Module):
    """A value that a solver fills."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(()))


class ToPan(nn.Module):
    def forward(self, helper: nn.Module, target: Tensor) -> dict[str, Tensor]:
        return {"output": helper(target)}


class Judge(nn.Module):
    def forward(self, helper: nn.Module, mean: Mean, output: Tensor, step: int) -> dict[str, Tensor]:
        assert not helper.training
        assert mean.value > 0
        return {"pan": helper(output)}


class Average(nn.Module):
    def forward(self, mean: Mean, batches: Iterator[dict[str, Tensor]]) -> None:
        mean.value.copy_(torch.stack([batch["target"].mean() for batch in batches]).mean())


def regime(batch_size: int = 2, plain: bool = False, **settings: Any) -> Staged:
    """Three stages; ``plain``: nothing that differs between one process and two."""
    torch.manual_seed(0)
    helper = Helper()
    if plain:
        helper.norm, helper.drop = nn.Identity(), nn.Identity()
    stages = {
        "helper": TrainingStage(
            ["helper"], LossSet({"mse": MSE(role="guide")}), sgd, derive=ToPan(), share=0.5, clip_norm=0.5
        ),
        "average": SolverStage(Average(), view={"batch_size": batch_size}),
        "fusion": TrainingStage(
            ["network"],
            LossSet({"l1": L1(), "pan": MSE(output="pan", role="guide")}),
            lambda p: torch.optim.Adam(p, lr=0.01),
            derive=Judge(),
            scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.8),
            scheduler_interval="step",
            max_steps=8,
            view={"batch_size": batch_size},
        ),
    }
    return Staged(small.TinyNet(dropout=0 if plain else 0.3), {"helper": helper, "mean": Mean()}, stages, **settings)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def fit(made: Staged, folder: Path, **trainer: Any) -> Staged:
    config = small.config(**{"max_steps": 8, "val_every": 4, "checkpoint_every": 3} | trainer)
    made.attach(small.Score(), checkpoint_facts(config))
    run = build_trainer(config, folder, made.evaluator.monitor)
    run.loggers = [CsvLogger(str(folder))]
    data = small.SmallData()
    made.learn(run, data, folder, resume=True)
    assert data.batch_size == 2
    run.test(made, datamodule=data, verbose=False)
    return made


def test_only_what_a_stage_trains_moves(tmp_path: Path) -> None:
    made = regime()
    start = small.weights(made)
    fit(made, tmp_path)
    folders = sorted(path.name for path in (tmp_path / "stages").iterdir())
    assert folders == ["01_helper", "02_average", "03_fusion"]
    states = [read_checkpoint(tmp_path / "stages" / f / "checkpoints" / "best.ckpt")["state_dict"] for f in folders]

    def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
        return {name.split(".")[0] + "." + name.split(".")[1] for name in before if not before[name].equal(after[name])}

    assert moved(start, states[0]) == {"parts.helper"}
    assert moved(states[0], states[1]) == {"parts.mean"}
    assert moved(states[1], states[2]) == {"network.conv1", "network.conv2"}
    assert all(p.requires_grad for p in made.parameters())
    record = json.loads((tmp_path / "stages" / "01_helper" / "stage.json").read_text())
    assert (record["name"], record["steps"], record["trains"]) == ("helper", 4, ["helper"])
    assert made.facts["training"]["steps"] == 12
    header = (tmp_path / "curves.csv").read_text().splitlines()[0].split(",")
    assert {"train/helper/mse", "train/fusion/pan"} <= set(header)


@pytest.mark.parametrize("step", [2, 4, 6, 9, 11, 12])
def test_a_cut_training_ends_where_a_whole_one_does(tmp_path: Path, step: int, monkeypatch: Any) -> None:
    whole = outcome(tmp_path / "whole", fit(regime(), tmp_path / "whole"))
    build = staged.build_trainer

    def with_cut(*settings: Any) -> Any:
        made = build(*settings)
        made.callbacks.insert(0, CutAt(step, validating=step == 12))
        return made

    folder = tmp_path / "cut"
    with monkeypatch.context() as patched:
        patched.setattr(staged, "build_trainer", with_cut)
        with pytest.raises(Cut):
            fit(regime(), folder)
    done = [path.parent.name for path in sorted(folder.rglob("stage.json"))]
    assert done == ([] if step <= 4 else ["01_helper", "02_average"])
    assert_equal(whole, outcome(folder, fit(regime(), folder)))


def test_a_finished_training_is_not_repeated(tmp_path: Path, monkeypatch: Any) -> None:
    whole = outcome(tmp_path, fit(regime(), tmp_path))
    monkeypatch.setattr(staged, "build_trainer", None)
    assert_equal(whole, outcome(tmp_path, fit(regime(), tmp_path)))


def test_weights_of_a_finished_stage_must_be_those_it_ended_with(tmp_path: Path) -> None:
    fit(regime(), tmp_path)
    record = tmp_path / "stages" / "01_helper" / "stage.json"
    record.write_text(record.read_text().replace('"weights": "', '"weights": "0'))
    with pytest.raises(CheckpointError, match="other weights than"):
        fit(regime(), tmp_path)
    record.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        fit(regime(), tmp_path)


def test_until_a_stage(tmp_path: Path) -> None:
    made = fit(regime(until="average"), tmp_path)
    assert not (tmp_path / "stages" / "03_fusion").exists()
    assert made.facts["training"]["steps"] == 4


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"until=fuse: there is no such stage; stages are helper, average, fusion"):
        regime(until="fuse")
    loss = LossSet({"l1": L1()})
    with pytest.raises(ConfigError, match=r"stages\.one\.trains=\['nothing'\]: name one or more of network, helper"):
        Staged(small.TinyNet(), {"helper": Helper()}, {"one": TrainingStage(["nothing"], loss, sgd)})
    with pytest.raises(ConfigError, match="share=0"):
        TrainingStage(["network"], loss, sgd, share=0)
    with pytest.raises(ConfigError, match=r"stages\.one\.view\.colour: the data have no such setting"):
        fit(Staged(small.TinyNet(), {}, {"one": TrainingStage(["network"], loss, sgd, view={"colour": 1})}), tmp_path)
    wrong = LossSet({"l1": L1(role="nothing")})
    with pytest.raises(DataError, match="the loss of stage one reads nothing"):
        fit(Staged(small.TinyNet(), {}, {"one": TrainingStage(["network"], wrong, sgd)}), tmp_path)


def test_processes_that_disagree_are_told(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(staged, "gathered", lambda items: [*items, "another"])
    with pytest.raises(DivergedError, match="stage helper: the processes hold different weights"):
        fit(regime(), tmp_path)
    assert not list(tmp_path.rglob("stage.json"))
