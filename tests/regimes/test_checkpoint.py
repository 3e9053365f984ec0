"""Checkpoints that rebuild themselves, and what is said of those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fusionbench.building import build
from fusionbench.errors import CheckpointError, ConfigError
from fusionbench.regimes import Classical, read_checkpoint, rebuild, write_checkpoint
from fusionbench.regimes.checkpoint import KEY, check_data, checkpoint_facts, plain
from tests.regimes import small


@pytest.fixture
def saved(tmp_path):
    config = small.config()
    regime = build(config["model"]["module"])
    path = tmp_path / "best.ckpt"
    write_checkpoint(path, {"state_dict": regime.state_dict(), KEY: checkpoint_facts(config)})
    return path, regime


def rewritten(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_a_checkpoint_rebuilds_its_regime(saved):
    path, regime = saved
    again = rebuild(path)
    assert not again.training
    assert again.facts["channels"] == {"lr": small.BANDS, "guide": 1}
    for name, value in regime.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_a_truncated_file(saved):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint; it is truncated"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{"conv.weight": torch.zeros(3)}, [1, 2], {"state_dict": {}}])
def test_a_foreign_file(tmp_path, content):
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="is not a checkpoint of fusionbench"):
        read_checkpoint(path)


def test_no_checkpoint_at_all(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_checkpoint(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / "text.ckpt")


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("/tmp/evil"),)


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, KEY: Evil()}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(path)


@pytest.mark.parametrize("target", ["os.system", "torch.hub.load", "fusionbench.nothing.Here"])
def test_a_target_that_is_not_allowed(saved, target):
    def change(content):
        content[KEY]["config"]["model"]["module"]["network"] = {"_target_": target}

    path = rewritten(saved[0], change)
    with pytest.raises(CheckpointError, match="_target_"):
        rebuild(path)


def test_a_module_that_is_no_regime(saved):
    def change(content):
        content[KEY]["config"]["model"]["module"] = {"_target_": "torch.nn.Identity"}

    path = rewritten(saved[0], change)
    with pytest.raises(CheckpointError, match=r"model\.module is a Identity, not a regime"):
        rebuild(path)


def test_weights_that_are_missing_unknown_or_of_another_shape(saved):
    def change(content):
        weights = content["state_dict"]
        names = list(weights)
        weights["other.weight"] = weights.pop(names[0])
        weights[names[1]] = torch.zeros(7)

    with pytest.raises(CheckpointError, match=r"(?s)1 weights are missing .*1 are unknown .*1 have another shape"):
        rebuild(rewritten(saved[0], change))


def test_facts_that_are_missing_are_named(saved):
    with pytest.raises(CheckpointError, match=r"fusionbench\.grid is missing"):
        read_checkpoint(rewritten(saved[0], lambda content: content[KEY].pop("grid")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": {"lr": 8, "guide": 1}}, "made for 2 band.s. of lr .none., Small has 8"),
        ({"ratio": 4}, "made for ratio 2, Small has 4"),
        ({"grid": "dlpan"}, "made for pixel grid area, the data are on dlpan .*data.grid=area"),
    ],
)
def test_data_that_do_not_match_are_refused(change, message):
    facts, data = checkpoint_facts(small.config()), small.config()["data"]
    check_data(facts, data, "best.ckpt")
    with pytest.raises(CheckpointError, match=message):
        check_data(facts, data | change, "best.ckpt")


def test_a_save_that_cannot_be_read_back_leaves_the_old_file(saved):
    path, _ = saved
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="was not written, it could not be read back"):
        write_checkpoint(path, {"state_dict": {}, KEY: {"path": Path("x")}})
    assert path.read_bytes() == before
    assert small.folder_files(path.parent) == ["best.ckpt"]


def test_only_plain_values_become_facts():
    assert plain({"a": (1, 2.0, None, True)}) == {"a": [1, 2.0, None, True]}
    with pytest.raises(ConfigError, match="plain values only, not PosixPath"):
        plain({"a": Path("x")})


class Exp(torch.nn.Module):
    def forward(self, lr, guide):
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_a_classical_method_leaves_a_checkpoint_too(tmp_path):
    regime = Classical(Exp())
    regime.attach(None, checkpoint_facts(small.config()))
    trainer = type("Trainer", (), {"is_global_zero": True})()
    content = read_checkpoint(regime.learn(trainer, None, tmp_path, resume=False))
    assert content["state_dict"] == {}
