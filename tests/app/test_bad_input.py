"""Mistakes that only some methods allow: each is told in one message, before anything is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fusionbench.app import catalogue, check
from fusionbench.app.cli import door
from fusionbench.app.weights import _config
from fusionbench.building import build
from fusionbench.errors import CheckpointError, ConfigError, DivergedError, RefusedError
from fusionbench.regimes import read_checkpoint, rebuild, write_checkpoint
from fusionbench.regimes.callbacks import Divergence
from fusionbench.regimes.checkpoint import KEY, checkpoint_facts
from fusionbench.regimes.prior import trained
from tests.regimes import test_adversarial as adversarial


def saved(path: Path, model: str = "pnn", data: str = "quickbird", of: str | None = None) -> Path:
    """A checkpoint of fresh weights; ``of``: facts of that other method around them."""
    weights = build(_config(model, data)["model"]["module"], "model.module").state_dict()
    config = _config(of or model, data)
    write_checkpoint(path, {"state_dict": weights, KEY: checkpoint_facts(config)})
    return path


def test_a_checkpoint_of_another_method(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit FusionNet: .* weights are missing .* are unknown"):
        rebuild(saved(tmp_path / "a.ckpt", "pnn", of="fusionnet"))


def test_an_adaptation_that_starts_from_another_method(tmp_path: Path) -> None:
    node = _config("apnn_adapted", "quickbird")["model"]["module"]
    regime = build(node | {"start": str(saved(tmp_path / "a.ckpt", "pannet"))}, "model.module")
    regime.attach(None, checkpoint_facts(_config("apnn_adapted", "quickbird")))
    with pytest.raises(CheckpointError, match=r"a\.ckpt"):
        regime._take_start(str(tmp_path / "a.ckpt"))


def test_a_prior_that_is_missing_or_made_for_other_data(tmp_path: Path) -> None:
    node = _config("vo_net", "quickbird")["model"]["module"]
    node = node | {"method": node["method"] | {"prior": node["method"]["prior"] | {"checkpoint": "nowhere.ckpt"}}}
    with pytest.raises(CheckpointError, match=r"nowhere\.ckpt: there is no such file"):
        build(node, "model.module")
    prior = saved(tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"model\.prior=.*made for ratio 4 on the dlpan grid, the data have"):
        trained(str(prior), 4, "area")
    method = trained(str(prior), 4, "dlpan")
    assert method is not None
    with pytest.raises(CheckpointError, match=r"made for 4 bands, the data have 8"):
        method(torch.rand(1, 8, 8, 8), torch.rand(1, 1, 32, 32))


def test_bands_that_a_method_does_not_take() -> None:
    path = catalogue.search_path()
    bodies = catalogue.bodies("data", path)
    card = catalogue.cards("model", path)["pnn"] | {"constraints": {"bands": [4, 4], "guide_bands": [1, 1]}}
    data = check.settled(bodies["worldview3"])
    with pytest.raises(
        RefusedError, match=r"(?s)it takes 4 band\(s\) of lr, the data set has 8.*fit model=pnn: .*quick"
    ):
        check.check_pair({"model": {"card": card}, "data": data, "run": {"model": "pnn", "data": "worldview3"}}, path)


def test_a_checkpoint_of_other_bands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.ckpt")
    assert door("evaluate", [f"ckpt={path}", "data=worldview3", f"paths.outputs={tmp_path}/out"]) == 2
    assert "made for 4 band(s) of lr (quickbird)" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["gtp_pnet", "sdpnet"])
def test_a_stage_that_does_not_exist(model: str) -> None:
    node = _config(model, "quickbird")["model"]["module"]
    with pytest.raises(ConfigError, match=r"model\.module\.until=fussion: there is no such stage; stages are .*fusion"):
        build(node | {"until": "fussion"}, "model.module")


def test_a_discriminator_that_diverges_keeps_the_last_good_state(tmp_path: Path) -> None:
    class Explode(adversarial.Moves):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if pl_module.batches_done() == 3:
                nn.init.constant_(pl_module.critics["two"].network.last.bias, float("inf"))

    with pytest.raises(DivergedError, match=r"step \d"):
        adversarial.fit(
            adversarial.regime(), tmp_path, more=[Explode(), Divergence()], max_steps=5, checkpoint_every=1, val_every=5
        )
    state = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(value.isfinite().all() for value in state.values())
