"""A training that is cut off at any step and continued ends where an uninterrupted one does, to the last bit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from fusionbench.regimes.checkpoint import checkpoint_facts, read_checkpoint
from fusionbench.regimes.logger import CsvLogger
from fusionbench.regimes.training import build_trainer
from tests.regimes import small


class Cut(Exception):
    """Stands for a kill: nothing after it is done."""


class CutAt(Callback):
    """Ends a training at the beginning of a step, or of a validation."""

    def __init__(self, step: int | None, validating: bool = False) -> None:
        self.step, self.validating = step, validating

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if not self.validating and pl_module.batches_done() == self.step:
            raise Cut

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if self.validating and pl_module.batches_done() == self.step:
            raise Cut


def run(folder: Path, cut: Callback | None = None, workers: int = 0, stop: Any = None, val: int = 3, **trainer: Any):
    config = small.config(**trainer)
    regime = small.supervised(
        dropout=0.3,
        scheduler=partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.8),
        clip_norm=0.5,
    )
    regime.attach(small.Score(), checkpoint_facts(config))
    regime.use_memory_format("channels_last")
    made = build_trainer(config, folder, regime.evaluator.monitor, stop)
    made.loggers = [CsvLogger(str(folder))]
    if cut is not None:
        made.callbacks.insert(0, cut)
    data = small.SmallData(workers=workers, val=val)
    regime.learn(made, data, folder, resume=True)
    made.test(regime, datamodule=data, verbose=False)
    return regime


def outcome(folder: Path, regime: Any) -> tuple[Any, ...]:
    training = {k: v for k, v in regime.facts["training"].items() if k != "seconds"}
    return small.weights(regime), (folder / "curves.csv").read_text(), regime.evaluator.seen, training


def assert_equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert one[0].keys() == other[0].keys()
    for name in one[0]:
        assert torch.equal(one[0][name], other[0][name]), name
    assert one[1:] == other[1:]


LENGTHS = {
    "by steps": {"max_steps": 12, "val_every": 4, "checkpoint_every": 3},
    "by epochs": {"max_steps": None, "max_epochs": 2, "val_every": None, "checkpoint_every": None},
    "end in the middle": {"max_steps": 8, "val_every": 3, "checkpoint_every": 1},
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_a_cut_at_every_step(tmp_path, lengths):
    whole = outcome(tmp_path / "whole", run(tmp_path / "whole", **lengths))
    for step in range(1, (lengths["max_steps"] or 10) + 1):
        for validating in (False, True):
            folder = tmp_path / f"cut-{step}-{validating}"
            try:
                run(folder, CutAt(step, validating), **lengths)
            except Cut:
                assert_equal(whole, outcome(folder, run(folder, **lengths)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cut_with_loader_processes(tmp_path, workers):
    whole = outcome(tmp_path / "whole", run(tmp_path / "whole"))
    folder = tmp_path / "cut"
    with pytest.raises(Cut):
        run(folder, CutAt(8), workers=workers)
    assert_equal(whole, outcome(folder, run(folder, workers=workers)))


def test_asked_to_end_it_saves_after_the_running_step_and_continues(tmp_path):
    whole = outcome(tmp_path / "whole", run(tmp_path / "whole", checkpoint_every=None))
    for asked in (2, 4, 5):  # in the middle of an epoch, at a validation, at the end of an epoch
        folder, calls = tmp_path / str(asked), iter([*[False] * (asked - 1), True])
        with pytest.raises(SystemExit):
            run(folder, stop=lambda calls=calls: next(calls), checkpoint_every=None)
        state = read_checkpoint(folder / "checkpoints" / "last.ckpt")
        assert state["fusionbench"]["training"]["steps"] == asked
        assert_equal(whole, outcome(folder, run(folder, checkpoint_every=None)))


def test_without_validation_data_the_last_state_is_the_best(tmp_path):
    regime = run(tmp_path, val=0)
    assert regime.facts["training"]["best_step"] == 12
    assert regime.facts["training"]["selected_on"] == "nothing (last step)"
    whole = outcome(tmp_path, regime)
    folder = tmp_path / "cut"
    with pytest.raises(Cut):
        run(folder, CutAt(7), val=0)
    assert_equal(whole, outcome(folder, run(folder, val=0)))


def test_a_complete_training_is_only_tested_again(tmp_path):
    before = outcome(tmp_path, run(tmp_path))
    assert_equal(before, outcome(tmp_path, run(tmp_path, CutAt(1))))
