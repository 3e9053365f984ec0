"""Exported networks: the same fused image outside of fusionbench, at sizes that were not traced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fusionbench.app.cli import door
from fusionbench.errors import ConfigError, RefusedError
from fusionbench.inference import export
from fusionbench.inference.export import FACTS, check_export, export_network
from fusionbench.regimes.values import ValueRange
from tests.networks.cards import build_part, model_config, pansharpening_methods

# methods that cannot be exported: id -> what the refusal says
CANNOT = {
    "apnn_adapted": "fitted to each scene",
    "gdd_pan": "fitted to each scene",
    "zergan": "fitted to each scene",
}
# networks that keep one height and width
FIXED = ("panformer",)
ONNX = ("pnn", "psgan")
# many small operations: traced in more than ten seconds on a busy core
SLOW = ("lagnet", "panformer")
# what else would be unrolled for a minute: settings of the network
SMALL = {"arbrpn": {"cycles": 1, "blocks": 1, "channels": 8}, "dl_vm": {"iterations": 2}}


class Method:
    """A network with fresh weights where a regime would be; images in [-1, 1] inside."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network, self.values = network.eval(), ValueRange(2.0, -1.0)

    def fuse(self, batch: dict[str, Any]) -> torch.Tensor:
        inputs = self.values.into(batch)
        found = self.network(inputs["lr"], inputs["guide"])
        return self.values.back(found["output"] if isinstance(found, dict) else found, batch)


def facts(method: str) -> dict[str, Any]:
    card = {"id": method, "regime": str(model_config(method).card.regime)}
    return {"card": card, "channels": {"lr": 4, "guide": 1}, "ratio": 4, "grid": "dlpan", "bits": 11,
            "sensor": "quickbird", "versions": {}}  # fmt: skip


def exportable() -> list[Any]:
    names = [name for name in pansharpening_methods() if name not in CANNOT]
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


@pytest.mark.parametrize("method", exportable())
def test_every_trained_network_as_pt2(method: str, tmp_path: Path) -> None:
    fuser = Method(build_part(method, bands=4, config=SMALL.get(method)))
    made = export_network(fuser, facts(method), tmp_path / "a.pt2", size=32)
    assert made.free == (method not in FIXED)
    stored = {FACTS: ""}
    program = torch.export.load(made.path, extra_files=stored).module()
    assert json.loads(stored[FACTS])["model"] == method
    rows, columns = (6, 9) if made.free else (8, 8)
    lr, guide = torch.rand(1, 4, rows, columns), torch.rand(1, 1, 4 * rows, 4 * columns)
    with torch.no_grad():
        expected = fuser.fuse({"lr": lr, "guide": guide, "bits": torch.tensor([11])})
    got = program(lr, guide)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5 * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize("method", sorted(CANNOT))
def test_methods_that_cannot_are_refused(method: str, tmp_path: Path) -> None:
    assert method in pansharpening_methods()
    with pytest.raises(RefusedError, match=CANNOT[method]):
        check_export(facts(method), tmp_path / "a.pt2")


@pytest.mark.parametrize("method", ONNX)
def test_onnx(method: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    fuser = Method(build_part(method, bands=4))
    made = export_network(fuser, facts(method), tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["fusionbench"])["units"] == "DN / (2^bits - 1)"
    lr, guide = torch.rand(1, 4, 6, 9), torch.rand(1, 1, 24, 36)
    got = session.run(["output"], {"lr": lr.numpy(), "guide": guide.numpy()})[0]
    with torch.no_grad():
        expected = fuser.fuse({"lr": lr, "guide": guide, "bits": torch.tensor([11])})
    torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-4, atol=1e-5)


def test_a_classical_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="gsa is a formula without a trained network; use predict"):
        check_export(facts("gsa"), tmp_path / "a.pt2")


def test_onnx_without_the_extra_names_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'fusionbench\[export\]'"):
        check_export(facts("pnn"), tmp_path / "a.onnx")
    check_export(facts("pnn"), tmp_path / "a.pt2")


def test_an_output_that_differs_leaves_no_file(tmp_path: Path, monkeypatch: Any) -> None:
    fuser = Method(build_part("pnn", bands=4))
    original = fuser.fuse
    monkeypatch.setattr(fuser, "fuse", lambda batch: original(batch) + 1)
    with pytest.raises(export.UserError, match=r"differs from the network by 1 .*nothing was written"):
        export_network(fuser, facts("pnn"), tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ckpt=a.ckpt"], "ckpt and out must be given"),
        (["ckpt=a.ckpt", "out=a.pt2", "sise=3"], "sise=3 is not understood"),
        (["ckpt=a.ckpt", "out=a.pt2", "size=big"], "size=big: px"),
        (["ckpt=nowhere.ckpt", "out={}/a.pt2"], "ckpt=nowhere.ckpt: there is no such file"),
    ],
)
def test_mistakes(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert door("export", [text.format(tmp_path) for text in arguments]) == 2
    assert said in capsys.readouterr().err
