"""What a configuration or a checkpoint may name, and what it may not."""

from __future__ import annotations

import functools

import pytest
import torch

from fusionbench import building
from fusionbench.building import allow_packages, build, resolve_target
from fusionbench.errors import ConfigError

FORBIDDEN = [
    "torch.hub.load",
    "torch.load",
    "torch.utils.cpp_extension.load",
    "torch.optim.optimizer.torch.hub.load",
    "torch.serialization.os.system",
    "torch.nn.modules.module.functools.partial",
    "torch.nn.init.normal_",
    "torch.nn.Parameter",
    "builtins.eval",
    "os.system",
    "subprocess.Popen",
    "hydra.utils.get_method",
    "fusionbench.building.importlib.import_module",
    "fusionbench.building.PACKAGES",
    "fusionbench.building",
    "pytorch_lightning.Trainer",
    "torch.nn.Modul",
    "fusionbench.nowhere.Nothing",
    "eval",
    "torch.nn.",
    "torch.nn.Linear().forward",
]


@pytest.mark.parametrize("path", FORBIDDEN)
def test_forbidden_targets_are_refused(path):
    with pytest.raises(ConfigError, match="_target_"):
        resolve_target(path)


@pytest.mark.parametrize("path", FORBIDDEN[:9])
def test_forbidden_targets_are_found_at_any_depth(path):
    node = {
        "_target_": "torch.nn.Sequential",
        "_args_": [{"_target_": "torch.nn.Identity", "deep": [{"x": {"_target_": path}}]}],
    }
    with pytest.raises(ConfigError, match="_target_"):
        build(node)


@pytest.mark.parametrize(
    "path",
    [
        "torch.nn.Conv2d",
        "torch.optim.Adam",
        "torch.optim.lr_scheduler.StepLR",
        "pytorch_lightning.loggers.CSVLogger",
        "fusionbench.building.build",
    ],
)
def test_known_kinds_are_allowed(path):
    assert callable(resolve_target(path))


def test_build_makes_partials_and_nested_objects():
    optimizer = build({"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.5})
    assert isinstance(optimizer, functools.partial)
    assert optimizer.keywords == {"lr": 0.5}
    net = build(
        {
            "_target_": "torch.nn.Sequential",
            "_args_": [{"_target_": "torch.nn.Conv2d", "in_channels": 2, "out_channels": 3, "kernel_size": [1, 1]}],
        }
    )
    assert net(torch.zeros(1, 2, 4, 4)).shape == (1, 3, 4, 4)
    assert isinstance(net[0].kernel_size, (list, tuple))


def test_unknown_argument_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"module\.kernel_sise.*nearest: kernel_size"):
        build({"_target_": "torch.nn.Conv2d", "in_channels": 2, "out_channels": 3, "kernel_sise": 1}, where="module")


def test_a_string_that_still_refers_elsewhere_is_refused():
    with pytest.raises(ConfigError, match="not resolved"):
        build({"_target_": "torch.nn.Conv2d", "in_channels": "${oc.env:HOME}", "out_channels": 3, "kernel_size": 1})


def test_own_packages_only_when_allowed(tmp_path, monkeypatch):
    (tmp_path / "my_fusion_package.py").write_text(
        "class Thing:\n    pass\n\ndef make():\n    return 7\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(building, "_user_packages", set())
    with pytest.raises(ConfigError, match="allow_packages"):
        build({"_target_": "my_fusion_package.make"})
    allow_packages(["my_fusion_package"])
    assert build({"_target_": "my_fusion_package.make"}) == 7


@pytest.mark.parametrize("name", ["os", "subprocess", "torch", "builtins", "not a name"])
def test_standard_library_is_never_an_own_package(name):
    with pytest.raises(ConfigError, match="allow_packages"):
        allow_packages([name])
