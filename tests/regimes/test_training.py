"""Trainings that go astray, curves, lengths, precision, further loggers and callbacks."""

from __future__ import annotations

import csv

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from fusionbench.errors import ConfigError, DivergedError
from fusionbench.regimes.callbacks import Divergence
from fusionbench.regimes.checkpoint import checkpoint_facts, read_checkpoint
from fusionbench.regimes.logger import CsvLogger
from fusionbench.regimes.training import build_trainer
from tests.regimes import small


def train(folder, regime=None, extra=(), samples=10, val=3, loggers=None, **trainer):
    csv_logger = {"_target_": "fusionbench.regimes.logger.CsvLogger", "folder": str(folder)}
    config = small.config(**trainer) | {
        "logger": {"csv": csv_logger} | (loggers or {}),
        "callbacks": {"divergence": {"_target_": "fusionbench.regimes.callbacks.Divergence"}},
    }
    regime = regime or small.supervised()
    regime.attach(small.Score(), checkpoint_facts(config))
    made = build_trainer(config, folder, regime.evaluator.monitor)
    made.callbacks[:0] = extra
    regime.learn(made, small.SmallData(samples=samples, val=val), folder, resume=True)
    return regime


class Spoil(Callback):
    """Multiplies the weights by a factor before a step."""

    def __init__(self, step: int, factor: float) -> None:
        self.step, self.factor = step, factor

    def on_train_batch_start(self, trainer, pl_module, *_):
        if pl_module.batches_done() == self.step:
            with torch.no_grad():
                pl_module.network.conv2.weight *= self.factor


@pytest.mark.parametrize(("factor", "said"), [(float("nan"), "the loss is nan"), (1e4, "the loss is .*; it began at")])
def test_a_diverging_training_stops_and_keeps_the_last_good_state(tmp_path, factor, said):
    with pytest.raises(DivergedError, match=rf"(?s)diverged at step 26: {said}.*after step 25 is kept in .*lr="):
        train(tmp_path, extra=[Spoil(26, factor)], max_steps=40, val_every=20, checkpoint_every=20)
    state = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert state["fusionbench"]["training"]["steps"] == 25
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    class SpoilAfter(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if pl_module.batches_done() == 6:
                with torch.no_grad():
                    pl_module.network.conv1.bias[0] = float("inf")

    with pytest.raises(DivergedError, match=r"step 6: the weights network\.conv1\.bias are not finite"):
        train(tmp_path, extra=[SpoilAfter()])
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["fusionbench"]["training"]["steps"] == 5


def test_divergence_may_be_watched_without_a_limit():
    with pytest.raises(DivergedError):
        watch(Divergence(), [1.0] * 20 + [2000.0])
    watch(Divergence(factor=None), [1.0] * 20 + [2000.0])


def watch(callback, losses):
    trainer = type("Trainer", (), {"should_stop": False, "checkpoint_callbacks": []})()
    for step, loss in enumerate(losses, start=1):
        regime = type("Regime", (), {"batches_done": lambda self, step=step: step})()
        callback.on_train_batch_end(trainer, regime, {"loss": torch.tensor(loss)})


def test_curves_hold_means_of_losses_and_validation_values(tmp_path):
    losses = []

    class Keep(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, *_):
            losses.append(outputs["loss"].item())

    regime = train(tmp_path, extra=[Keep()])
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    train_rows = [row for row in rows if row["train/loss"]]
    assert [int(row["step"]) for row in train_rows] == [2, 4, 6, 8, 10, 12]
    for i, row in enumerate(train_rows):
        assert float(row["train/loss"]) == pytest.approx(sum(losses[2 * i : 2 * i + 2]) / 2)
        assert float(row["train/lr"]) == 0.01
    validated = {int(row["step"]): float(row["val/MAE"]) for row in rows if row["val/MAE"]}
    assert list(validated) == [4, 8, 12]
    training = regime.facts["training"]
    assert training["best_step"] == min(validated, key=validated.get)
    assert training["converged"] is (training["improvement"] < 0.02)
    before = min(value for step, value in validated.items() if step <= 9)
    assert training["improvement"] == pytest.approx((before - min(validated.values())) / before)
    assert (training["steps"], training["samples"], training["epochs"]) == (12, 24, 2)


def test_the_best_checkpoint_is_what_remains(tmp_path):
    regime = train(tmp_path, extra=[Spoil(12, 30.0)], max_steps=12)
    assert regime.facts["training"]["best_step"] == 8
    best = read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    assert best["fusionbench"]["training"] == regime.facts["training"]
    assert "optimizer_states" not in best
    for name, value in regime.state_dict().items():
        assert torch.equal(best["state_dict"][name], value)


@pytest.mark.parametrize(
    ("lengths", "steps"),
    [({"max_steps": 7}, 7), ({"max_steps": None, "max_epochs": 2}, 10), ({"max_steps": 8, "max_epochs": 1}, 5)],
)
def test_lengths_count_batches(tmp_path, lengths, steps):
    assert train(tmp_path, **lengths).facts["training"]["steps"] == steps


def test_a_training_without_a_length_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"max_steps and trainer\.max_epochs are both null"):
        train(tmp_path, max_steps=None)


def test_a_device_that_is_not_there_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="trainer: "):
        train(tmp_path, accelerator="gpu")


def test_mixed_precision_trains(tmp_path):
    regime = train(tmp_path, precision="bf16-mixed")
    assert all(value.dtype == torch.float32 for value in regime.state_dict().values())
    assert torch.isfinite(regime.network.conv1.weight).all()


def test_the_loss_falls(tmp_path):
    train(tmp_path, max_steps=120, val_every=120, samples=240, checkpoint_every=None)
    losses = [float(row["train/loss"]) for row in csv.DictReader((tmp_path / "curves.csv").open()) if row["train/loss"]]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_the_csv_file_forgets_what_lies_behind_a_step(tmp_path):
    logger = CsvLogger(str(tmp_path))
    for step in (1, 2, 3):
        logger.log_metrics({"a": step / 3}, step)
    logger.log_metrics({"b": 0.1}, 3)
    with logger.path.open("a") as file:
        file.write("4,0.")
    again = CsvLogger(str(tmp_path))
    again.truncate(2)
    again.log_metrics({"b": 0.5}, 3)
    assert logger.path.read_text() == f"step,a,b\n1,{1 / 3!r},\n2,{2 / 3!r},\n3,,0.5\n"


LOGGERS = {
    "tensorboard": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "name": "tensorboard", "version": ""},
    "wandb": {"_target_": "pytorch_lightning.loggers.WandbLogger", "project": "fusionbench", "offline": True},
}


@pytest.mark.parametrize("name", LOGGERS)
def test_other_loggers_work_beside_the_curves(tmp_path, monkeypatch, name):
    pytest.importorskip(name)
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(tmp_path, max_steps=4, loggers={name: LOGGERS[name] | {"save_dir": str(tmp_path)}})
    assert (tmp_path / "curves.csv").is_file()
    assert any("tfevents" in file or file.endswith(".wandb") for file in small.folder_files(tmp_path))
