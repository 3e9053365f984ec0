"""Published weights: what they give, and files that are none."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fusionbench.app.cli import door
from fusionbench.app.weights import converted, import_weights
from fusionbench.errors import CheckpointError, ConfigError
from fusionbench.regimes import rebuild, write_checkpoint
from fusionbench.regimes.published import read_weights

FOLDERS = {"WV3": "worldview3", "WV2": "worldview2", "WV4": "worldview4", "QB": "quickbird"}
# mean | first band at (10, 20) | last band at (40, 33), from the published networks themselves on the image below
GOLDEN = {
    "pnn": ((0.368761, 0.219160, 0.579715), (0.312964, 0.298978, 0.431812), (0.282182, 0.264570, 0.415560),
            (0.270841, 0.251708, 0.402416)),
    "pannet": ((0.318740, 0.264369, 0.481453), (0.321035, 0.264792, 0.502986), (0.280020, 0.268849, 0.406423),
               (0.279792, 0.265662, 0.416919)),
    "dicnn1": ((0.237659, 0.232098, 0.376167), (0.339636, 0.283590, 0.524221), (0.288255, 0.269086, 0.425003),
               (0.323608, 0.296827, 0.449690)),
    "fusionnet": ((0.292331, 0.257544, 0.524767), (0.308568, 0.258589, 0.518548), (0.292347, 0.268089, 0.416672),
                  (0.290319, 0.276157, 0.414193)),
    "msdcnn": ((0.271566, 0.203481, 0.436707), (0.318006, 0.293539, 0.470967), (0.286979, 0.268039, 0.409440),
               (0.266031, 0.254078, 0.341173)),
    "drpnn": ((0.271711, 0.238009, 0.436980), (0.308817, 0.241407, 0.490490), (0.282570, 0.257070, 0.405175),
              (0.304565, 0.273288, 0.453072)),
}  # fmt: skip


@pytest.fixture(scope="session")
def published(shared: Path) -> Path:
    """The toolbox's files."""
    folder = shared / "weights" / "dlpan"
    if not folder.is_dir():
        pytest.skip(f"no published weights in {folder}")
    return folder


def wave(rows: Tensor, columns: Tensor) -> Tensor:
    return 0.1 * torch.sin(0.1 * rows[:, None]) * torch.cos(0.07 * columns[None, :])


def synthetic(bands: int) -> tuple[Tensor, Tensor, Tensor]:
    """MS [1,B,16,16], PAN [1,1,64,64] and the upsampled MS [1,B,64,64], formulas of the published networks' check."""
    fine, coarse = torch.arange(64.0), torch.arange(2.0, 64.0, 4)
    levels = 0.25 + 0.02 * torch.arange(float(bands))[:, None, None]
    detail = 0.05 * torch.sin(0.9 * fine[:, None]) * torch.sin(1.1 * fine[None, :])
    pan = 0.3 + wave(fine, fine) + detail
    return (levels + wave(coarse, coarse))[None], pan[None, None], (levels + wave(fine, fine))[None]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_outputs(name: str, folder: str, published: Path, tmp_path: Path, monkeypatch: Any) -> None:
    stem = "panet" if (name, folder) == ("pannet", "QB") else name
    model, content = converted(published / folder / f"{stem}.pth", FOLDERS[folder])
    assert model == name.replace("dicnn1", "dicnn")
    write_checkpoint(tmp_path / "a.ckpt", content)
    regime = rebuild(tmp_path / "a.ckpt")
    bands = regime.facts["channels"]["lr"]
    lr, guide, upsampled = synthetic(bands)
    # the check gives the upsampled MS by formula: without the interpolator's borders
    module = importlib.import_module(type(regime.network).__module__)
    monkeypatch.setattr(module, "expand", lambda lr, ratio, grid: upsampled)
    batch = {"lr": lr, "guide": guide, "bits": torch.tensor([11]), "ratio": torch.tensor([4])}
    with torch.no_grad():
        fused = regime.fuse(batch)[0]
    expected = GOLDEN[name][list(FOLDERS).index(folder)]
    got = float(fused.mean()), float(fused[0, 10, 20]), float(fused[-1, 40, 33])
    assert got == pytest.approx(expected, abs=1e-4)


def test_a_folder_becomes_checkpoints(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_weights([str(published / "QB"), f"out={tmp_path}/out"]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{model}_qb.ckpt" for model in ("dicnn", "drpnn", "fusionnet", "msdcnn", "pannet", "pnn")]
    assert "QB/panet.pth" in capsys.readouterr().out
    facts = rebuild(tmp_path / "out" / "pannet_qb.ckpt").facts
    assert (facts["sensor"], facts["grid"], facts["bits"], facts["ratio"]) == ("quickbird", "dlpan", 11, 4)
    assert facts["channels"] == {"lr": 4, "guide": 1}
    assert facts["origin"]["file"] == "QB/panet.pth"
    assert str(tmp_path) not in str(facts)


def some_weights(tmp_path: Path, folder: str = "QB", **changes: Any) -> Path:
    """A file like PNN's, made here."""
    shapes = {"conv1": (64, 5, 9, 9), "conv2": (32, 64, 5, 5), "conv3": (4, 32, 5, 5)}
    content: dict[str, Any] = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    content |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    path = tmp_path / folder / "pnn.pth"
    path.parent.mkdir(exist_ok=True)
    torch.save(content | changes, path)
    return path


def test_the_sensor_is_the_folders_or_the_one_given(tmp_path: Path) -> None:
    assert import_weights([str(some_weights(tmp_path, "qb")), f"out={tmp_path}"]) == 0
    odd = some_weights(tmp_path, "downloads")
    with pytest.raises(ConfigError, match=r"the folder downloads names no sensor, give sensor=<name>; known are .*wv3"):
        import_weights([str(odd), f"out={tmp_path}"])
    assert import_weights([str(odd), f"out={tmp_path}", "sensor=ikonos"]) == 0
    assert rebuild(tmp_path / "pnn_ik.ckpt").facts["sensor"] == "ikonos"


def test_weights_of_another_network_or_sensor(tmp_path: Path) -> None:
    path = some_weights(tmp_path, "WV3")
    with pytest.raises(
        CheckpointError, match=r"none of pnn, pannet, .* with the bands of worldview3; closest is pnn: "
    ):
        converted(path, "worldview3")
    with pytest.raises(CheckpointError, match=r"conv4\.weight is unknown"):
        converted(some_weights(tmp_path, **{"conv4.weight": torch.zeros(3)}), "quickbird")


def test_two_names_of_one_block(tmp_path: Path) -> None:
    block = torch.rand(3)
    same = some_weights(tmp_path, **{"res1.conv20.bias": block, "backbone.0.conv20.bias": block.clone()})
    assert "backbone.0.conv20.bias" not in read_weights(same)
    other = some_weights(tmp_path, **{"res1.conv20.bias": block, "backbone.0.conv20.bias": block + 1})
    with pytest.raises(CheckpointError, match=r"backbone\.0\.conv20\.bias and res1\.conv20\.bias should be one tensor"):
        read_weights(other)


class Foreign:
    """What a file of plain tensors does not hold."""


@pytest.mark.parametrize("kind", ["text", "truncated", "pickled class", "wrapped", "tensor"])
def test_files_that_are_no_weights(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = some_weights(tmp_path)
    if kind == "text":
        path.write_text("no weights")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        torch.save({"pickled class": Foreign(), "wrapped": {"a": {"b": 1}}, "tensor": torch.zeros(2)}[kind], path)
    assert door("import-weights", [str(path), f"out={tmp_path}/out"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: ")
    assert "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []


def test_one_wrong_file_stops_the_folder_before_anything_is_written(tmp_path: Path) -> None:
    path = some_weights(tmp_path)
    (path.parent / "zzz.pth").write_text("no weights")
    with pytest.raises(CheckpointError, match=r"zzz\.pth"):
        import_weights([str(path.parent), f"out={tmp_path}/out"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["{}"], ConfigError, r"import-weights <file\.pth or folder> out=<folder>"),
        (["out={}"], ConfigError, r"import-weights <file"),
        (["{}", "out={}/out", "sensr=qb"], ConfigError, r"sensr= is unknown"),
        (["{}/nothing.pth", "out={}/out"], CheckpointError, r"nothing\.pth: there is no such file or folder"),
        (["{}", "out={}/out"], CheckpointError, r"no \.pth file in it"),
    ],
)
def test_mistakes(arguments: list[str], error: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        import_weights([text.format(tmp_path) for text in arguments])
