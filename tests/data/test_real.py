"""The real images beside the project, where they are present: read in place, split, checked for shared ground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fusionbench.app.cli import door
from fusionbench.app.compose import composed
from fusionbench.app.weights import converted
from fusionbench.data.locate import resolve_source
from fusionbench.errors import DataError
from fusionbench.imaging import expand
from fusionbench.metrics.functional import ergas, sam
from fusionbench.regimes import rebuild, write_checkpoint

from .composing import module


@pytest.fixture(scope="session")
def images(shared: Path) -> Path:
    """Folder of the real images."""
    folder = shared / "data"
    if not (folder / "pansharpening").is_dir():
        pytest.skip(f"no real images in {folder}")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this file."""
    return tmp_path_factory.mktemp("cache")


def real(data: str, images: Path, cache: Path, *overrides: str) -> Any:
    return module(data, images, "data.source=files", f"paths.cache={cache}", *overrides)


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        ("quickbird", ("folder", "area", 11, True)),
        ("worldview2", ("grip", "dlpan", 11, True)),
        ("geoeye1", ("grip", "dlpan", 8, True)),
        ("gaofen2", ("gf2", "dlpan", 10, False)),
    ],
)
@pytest.mark.parametrize("place", ["paths.data", "paths.data, nearer", "data.root"])
def test_documented_commands_find_the_files(data: str, facts: tuple[Any, ...], place: str, images: Path) -> None:
    where = {
        "paths.data": f"paths.data={images}",
        "paths.data, nearer": f"paths.data={images}/pansharpening",
        "data.root": f"data.root={images}/pansharpening/{data}",
    }[place]
    cfg = composed("train", ["model=pannet", f"data={data}", "data.source=files", where])
    found = resolve_source(cfg)
    assert tuple(found[key] for key in ("collection", "grid", "bits", "trainable")) == facts
    assert found["root"] == str((images / "pansharpening" / data).resolve())


PAGE = Path(__file__).parents[2] / "docs" / "real_data.md"


def documented() -> list[str]:
    """Commands of the page that train or evaluate."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith(("    python train.py", "    python evaluate.py"))]


@pytest.mark.parametrize("command", documented())
def test_documented_commands_compose(command: str, images: Path) -> None:
    """Every option that a command or a sweep names exists, and the files are found."""
    words = command.replace("<images>", str(images)).replace("<run>", "run").replace("<checkpoints>", "folder").split()
    settings = [word.partition("=")[::2] for word in words[2:] if word != "-m"]
    for turn in range(max(values.count(",") for _, values in settings) + 1):
        overrides = [f"{key}={values.split(',')[min(turn, values.count(','))]}" for key, values in settings]
        cfg = composed(words[1].removesuffix(".py"), overrides)
        assert resolve_source(cfg)["source"] == "files"


def test_quickbird_in_four_folds(images: Path, cache: Path) -> None:
    tested: list[str] = []
    for fold in range(4):
        files = real("quickbird", images, cache, f"data.split.fold={fold}")
        sets = {name: [piece.scene for piece in files.split.of(name)] for name in ("train", "val", "test")}
        assert [len(sets[name]) for name in sets] == [5, 1, 2]
        tested += sets["test"]
    assert len(tested) == len(set(tested)) == 8


def test_quickbird_is_misregistered_in_rows(images: Path, cache: Path) -> None:
    files = real("quickbird", images, cache)
    files.setup("test")
    for row in files.shifts():
        assert 1.2 < row["dy"] < 2.4
        assert abs(row["dx"]) < 0.5
        assert row["r2_after"] > 0.98
    sample = files.test_dataset("reduced")[0]
    assert sample["target"].shape == (4, 248, 248)
    assert sample["lr"].shape == (4, 62, 62)
    assert float(sample["target"].max()) <= 1


@pytest.mark.slow
def test_quickbird_tiles_share_no_ground(images: Path, cache: Path) -> None:
    assert real("quickbird", images, cache).find_overlaps() == []


@pytest.mark.parametrize(("data", "bits"), [("worldview2", 11), ("geoeye1", 8)])
def test_single_scenes_by_half(data: str, bits: int, images: Path, cache: Path) -> None:
    for fold in (0, 1):
        files = real(data, images, cache, f"data.split.fold={fold}")
        (test,), (train,) = files.split.of("test"), files.split.of("train")
        left, right = sorted((test, train), key=lambda piece: piece.window.left)
        assert right.window.left - left.window.right >= 64
        assert test.window.shape == (320, 128)
    files.setup("fit")  # refuses shared ground
    files.setup("test")
    assert files.find_overlaps() == []
    sample = files.train_dataset().item(0, np.random.default_rng(0))
    assert sample["bits"] == bits
    assert sample["target"].shape[1:] == (64, 64)
    assert 0 < float(sample["guide"].mean()) < 1
    full = files.test_dataset("full")[0]
    assert full["guide"].shape == (1, 1280, 512)


def test_gaofen2_tests_and_does_not_train(images: Path, cache: Path) -> None:
    files = real("gaofen2", images, cache)
    files.setup("test")
    assert [len(files.test_dataset(name)) for name in files.test_sets] == [3, 3]
    assert files.test_dataset("reduced")[0]["target"].shape == (4, 400, 400)
    with pytest.raises(DataError, match="holds test images only"):
        files.setup("fit")


def test_worldview3_has_one_patch_and_is_simulated(images: Path) -> None:
    assert resolve_source(composed("train", ["model=pannet", "data=worldview3", f"paths.data={images}"]))["simulated"]


def test_data_check_of_real_images(images: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = door("data", ["check", "geoeye1", f"paths.data={images}", f"paths.cache={cache}"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert "8 of 8" in out
    assert "share no 32x32 tile" in out


# SAM (degrees) and ERGAS of the published networks on the WorldView-2 image at reduced resolution, border cut,
# measured with their authors' code
PUBLISHED = {"exp": (7.683, 7.635), "pnn": (5.187, 3.081), "pannet": (5.015, 2.972), "dicnn1": (4.959, 2.960),
             "fusionnet": (4.755, 2.810), "msdcnn": (5.048, 3.046), "drpnn": (4.962, 3.000)}  # fmt: skip


def test_published_weights_give_the_published_scores(images: Path, cache: Path, shared: Path, tmp_path: Path) -> None:
    """And so all six beat EXP clearly."""
    weights = shared / "weights" / "dlpan" / "WV2"
    if not weights.is_dir():
        pytest.skip(f"no published weights in {weights}")
    files = real("worldview2", images, cache, "data.split.by=test")
    files.setup("test")
    sample = files.test_dataset("reduced")[0]
    batch = {role: sample[role][None] for role in ("lr", "guide", "target")}
    batch |= {"bits": torch.tensor([11]), "ratio": torch.tensor([4])}

    def scores(image: Tensor) -> tuple[float, float]:
        inside = (..., slice(20, -21), slice(20, -21))
        estimate, reference = (2047 * x.double().clamp(0, 1)[inside] for x in (image, batch["target"]))
        return float(sam(reference, estimate)), float(ergas(reference, estimate, ratio=4))

    found = {"exp": scores(expand(batch["lr"], 4, "dlpan"))}
    for path in sorted(weights.glob("*.pth")):
        _, content = converted(path, "worldview2")
        write_checkpoint(tmp_path / "a.ckpt", content)
        with torch.no_grad():
            found[path.stem] = scores(rebuild(tmp_path / "a.ckpt").fuse(batch))
    assert set(found) == set(PUBLISHED)
    for name, expected in PUBLISHED.items():
        assert found[name] == pytest.approx(expected, abs=0.005), name
