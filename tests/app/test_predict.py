"""The verb ``predict``: from a checkpoint and two files to a fused file, for networks and classical methods."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from omegaconf import OmegaConf, open_dict

from fusionbench.app import catalogue
from fusionbench.app.cli import door
from fusionbench.app.compose import composed
from fusionbench.building import build
from fusionbench.data.locate import resolve_source
from fusionbench.regimes.checkpoint import KEY, checkpoint_facts, write_checkpoint

PAN = Affine(0.5, 0, 500_000, 0, -0.5, 3_400_000)


def checkpoint(path: Path, model: str, data: str = "quickbird") -> Path:
    """A checkpoint of a method with fresh weights."""
    cfg = composed("train", [f"model={model}", f"data={data}", "data.source=simulated"])
    with open_dict(cfg):
        cfg.paths = dict.fromkeys(cfg.paths)
        cfg.paths.data = str(path.parent)
        cfg.data = OmegaConf.merge(cfg.data, resolve_source(cfg))
    sections: Any = {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("model", "data")}
    torch.manual_seed(0)
    regime = build(sections["model"]["module"], "model.module")
    write_checkpoint(path, {"state_dict": regime.state_dict(), KEY: checkpoint_facts({**sections, "seed": 0})})
    return path


def images(folder: Path, bands: int = 4, size: int = 24) -> list[str]:
    """A pair of georeferenced files, as overrides; smooth, so that every method has something to work with."""
    rng = np.random.default_rng(0)
    pan = np.kron(rng.uniform(300, 1500, (size // 2, size // 2)), np.ones((8, 8))) + rng.uniform(
        0, 50, (4 * size, 4 * size)
    )
    means = pan.reshape(size, 4, size, 4).mean((1, 3))
    ms = np.stack([means * (0.6 + 0.15 * band) + rng.uniform(0, 40, means.shape) for band in range(bands)])
    for name, image, transform in (("ms", ms, PAN * Affine.scale(4)), ("pan", pan[None], PAN)):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", count=len(image), height=image.shape[1], width=image.shape[2],
            dtype="uint16", transform=transform, crs="EPSG:32650",
        ) as file:  # fmt: skip
            file.write(image.astype(np.uint16))
    return [f"inputs.lr={folder}/ms.tif", f"inputs.guide={folder}/pan.tif", f"out={folder}/fused.tif", "progress=false"]


def classical_methods() -> list[str]:
    cards = catalogue.cards("model", catalogue.search_path())
    return [
        name
        for name, card in cards.items()
        if card.get("regime") == "classical" and card.get("task") == "pansharpening"
    ]


@pytest.mark.parametrize("model", ["pannet", *classical_methods()])
def test_every_kind_of_method_predicts(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path / "a.ckpt", model)
    assert door("predict", [f"ckpt={path}", *images(tmp_path), "tile=48"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "fused.tif")
    with rasterio.open(tmp_path / "fused.tif") as fused, rasterio.open(tmp_path / "ms.tif") as ms:
        assert (fused.count, fused.height, fused.width) == (4, 96, 96)
        assert (fused.dtypes[0], fused.crs, fused.transform) == ("uint16", ms.crs, PAN)
        low = fused.read().reshape(4, 24, 4, 24, 4).mean((2, 4))
        if model != "pannet":  # a method with nothing to learn keeps the spectra about where they were
            assert np.abs(low - ms.read()).mean() < 0.25 * ms.read().mean()


def test_a_cog_on_request(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.ckpt", "pnn")
    assert door("predict", [f"ckpt={path}", *images(tmp_path), "cog=true", "dtype=float32"]) == 0
    with rasterio.open(tmp_path / "fused.tif") as fused:
        assert fused.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert fused.dtypes[0] == "float32"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ckpt": None}, "ckpt is not given: predict ckpt=<run>/checkpoints/best.ckpt"),
        ({"out": None}, "out is not given"),
        ({"inputs.guide": None}, "inputs.guide is not given, the file of the PAN image"),
        ({"ckpt": "{}"}, "is a folder"),
        ({"ckpt": "{}/nothing.ckpt"}, "there is no such file"),
        ({"ckpt": "{}/text.ckpt"}, "cannot be read as a checkpoint"),
        ({"ckpt": "{}/short.ckpt"}, "cannot be read as a checkpoint"),
        ({"ckpt": "{}/foreign.ckpt"}, "is not a checkpoint of fusionbench"),
        ({"ckpt": "{}/eight.ckpt"}, "has 4 bands, the method takes 8"),
        ({"inputs.lr": "{}/nothing.tif"}, "inputs.lr={}/nothing.tif: there is no such file"),
        ({"inputs.lr": "{}/text.ckpt"}, "is not a raster"),
        ({"dtype": "complex64"}, "dtype=complex64 cannot be written"),
        ({"device": "cuda:9"}, "torch sees no GPU"),
        ({"tyle": "3"}, "tyle"),
    ],
)
def test_mistakes(change: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "device" in change and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    path = checkpoint(tmp_path / "a.ckpt", "pnn")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    (tmp_path / "short.ckpt").write_bytes(path.read_bytes()[:5000])
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "foreign.ckpt")
    checkpoint(tmp_path / "eight.ckpt", "pnn", "worldview3")
    given: dict[str, Any] = dict(text.split("=", 1) for text in [f"ckpt={path}", *images(tmp_path)])
    given |= {key: value and value.format(tmp_path) for key, value in change.items()}
    code = door("predict", [f"{key}={value}" for key, value in given.items() if value is not None])
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("error: ")
    assert said.format(tmp_path) in err
    assert not (tmp_path / "fused.tif").exists()


def test_missing_inputs_are_told_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from fusionbench.app.cli import door;"
        f"code = door('predict', ['ckpt={tmp_path}/a.ckpt', 'out={tmp_path}/a.tif']);"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "there is no such file" in done.stderr
