"""Classification data sets: layouts with their traps, splits, windows, scaling; tiny twins through the real reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch
from scipy.io import savemat

from fusionbench.data import regions
from fusionbench.data.readers.rasters import as_labels, as_raster, read_array
from fusionbench.data.regions import PixelSplitSettings, split_pixels
from fusionbench.data.windows import continued
from fusionbench.errors import ConfigError, DataError, DataNotFoundError

from .composing import module

SIZE = (24, 30)


def scene(bands: int, classes: int, size: tuple[int, int] = SIZE) -> dict[str, np.ndarray]:
    """HS [H,W,B], height [H,W], labels in two blocks per class, masks: the upper ones train."""
    rng = np.random.default_rng(0)
    labels = np.zeros(size, np.uint8)
    for number in range(classes):
        column = 1 + number * (size[1] - 2) // classes
        labels[2:8, column : column + 2] = labels[14:22, column : column + 2] = number + 1
    train, test = labels.copy(), labels.copy()
    train[12:], test[:12] = 0, 0
    hs = rng.random((*size, bands)) + labels[..., None]
    return {"hs": hs, "aux": rng.random(size) + labels, "labels": labels, "train": train, "test": test}


def write_toolkit(folder: Path, found: dict[str, np.ndarray], turned: bool = False) -> None:
    folder.mkdir(parents=True)
    files = {"HSI": "hs", "LiDAR": "aux", "TRLabel": "train", "TSLabel": "test"}
    for name, key in files.items():
        values = np.swapaxes(found[key], 0, 1) if turned else found[key]
        savemat(folder / f"{name}.mat", {name: values})


def write_v73(path: Path, values: np.ndarray, name: str) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(name, data=values.T)  # MATLAB's axes lie reversed
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))


def write_tif(path: Path, values: np.ndarray, colours: dict[int, tuple[int, ...]] | None = None) -> None:
    bands = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    profile: dict[str, Any] = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(path, "w", driver="GTiff", dtype=bands.dtype, **profile) as file:
        file.write(bands)
        if colours:
            file.write_colormap(1, colours)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_houston_layouts_give_the_same_scene(tmp_path: Path) -> None:
    found = scene(144, 15, (24, 48))
    write_toolkit(tmp_path / "a" / "houston2013", found)
    folder = tmp_path / "b" / "houston2013"
    folder.mkdir(parents=True)
    for name, key in {"CASI": "hs", "LiDAR": "aux", "Samples_TR": "train", "Samples_VA": "test"}.items():
        palette = {i: (i, 2 * i, 3 * i, 255) for i in range(16)} if "Samples" in name else None
        write_tif(folder / f"2013_IEEE_GRSS_DF_Contest_{name}.tif", found[key], palette)
    folder = tmp_path / "c" / "houston2013"
    folder.mkdir(parents=True)
    for name, key, variable in (
        ("HSI", "hs", "HSI"),
        ("DSM", "aux", "DSM"),
        ("TR", "train", "TR_map"),
        ("TE", "test", "TE_map"),
    ):
        write_v73(folder / f"Houston2013_{name}.mat", found[key], variable)
    seen = []
    for place, layout in (("a", "toolkit"), ("b", "contest"), ("c", "ccr_net")):
        data = module("houston2013", tmp_path / place)
        assert data.collection == layout
        data.setup("test")
        batch = next(iter(data.test_dataloader()[0]))
        assert batch["hs"].shape == (1, 144, 24, 48)
        assert batch["aux"].shape == (1, 1, 24, 48)
        assert torch.equal(batch["target"][0], torch.from_numpy(found["test"].astype(np.int64) - 1))
        assert torch.equal(batch["asked"][0, 0], batch["target"][0] >= 0)
        seen.append(batch["hs"])
    torch.testing.assert_close(seen[0], seen[1])
    torch.testing.assert_close(seen[0], seen[2])


def test_muufl_struct_with_negative_labels(tmp_path: Path) -> None:
    found = scene(64, 11, (325, 220))
    labels = found["labels"].astype(np.int16)
    labels[labels == 0] = -1
    folder = tmp_path / "muufl"
    folder.mkdir()
    lidar = np.empty(1, object)
    lidar[0] = {"z": np.stack([found["aux"], found["aux"] + 1], axis=-1), "info": "first and last return"}
    content = {"Data": found["hs"], "Lidar": lidar, "sceneLabels": {"labels": labels, "Materials_Type": "names"}}
    savemat(folder / "muufl_gulfport_campus_1_hsi_220_label.mat", {"hsi": content})
    data = module("muufl", tmp_path)
    assert data.collection == "struct"
    data.setup("fit")
    part = data.parts("train")[0]
    assert part.entry.array("aux").shape == (2, 325, 220)
    assert np.array_equal(part.entry.array("labels"), found["labels"].astype(np.int16) - 1)
    split = data.split(part)
    assert split.by == "disjoint"
    assert not regions.check_disjoint(split, data.window)


def test_trento_on_its_side_is_turned(tmp_path: Path) -> None:
    found = scene(63, 6, (166, 600))
    write_toolkit(tmp_path / "trento", found, turned=True)
    data = module("trento", tmp_path)
    data.setup("test")
    batch = next(iter(data.test_dataloader()[0]))
    assert torch.equal(batch["target"][0], torch.from_numpy(found["test"].astype(np.int64) - 1))


def test_augsburg_has_three_modalities_and_keeps_tiny_classes(tmp_path: Path) -> None:
    found = scene(180, 7)
    found["train"][found["train"] == 6] = 0
    found["train"][2, 22] = 6  # one training pixel
    folder = tmp_path / "augsburg"
    folder.mkdir()
    sar = np.random.default_rng(1).random((*SIZE, 4))
    files = {
        "data_HS_LR": found["hs"],
        "data_SAR_HR": sar,
        "data_DSM": found["aux"],
        "TrainImage": found["train"],
        "TestImage": found["test"],
    }
    for name, values in files.items():
        savemat(folder / f"{name}.mat", {name: values})
    data = module("augsburg", tmp_path)
    data.setup("fit")
    assert data.counts("train")[5] == 1
    assert data.counts("val")[5] == 0
    item = data.train_dataset()[0]
    assert {name: tuple(item[name].shape) for name in ("hs", "aux", "dsm")} == {
        "hs": (180, 1, 1),
        "aux": (4, 1, 1),
        "dsm": (1, 1, 1),
    }
    folder.joinpath("data_DSM.mat").unlink()
    with pytest.raises(DataNotFoundError, match=r"data_DSM\.mat"):
        module("augsburg", tmp_path, "data.source=files")


def test_files_that_do_not_fit_say_why(tmp_path: Path) -> None:
    def broken(number: int, **changed: np.ndarray) -> Any:
        write_toolkit(tmp_path / str(number) / "houston2013", scene(144, 15, (24, 48)) | changed)
        return module("houston2013", tmp_path / str(number))

    with pytest.raises(DataError, match=r"of one size.*23 x 48"):
        broken(0, test=scene(144, 15, (24, 48))["test"][:-1]).setup("fit")
    strange = scene(144, 15, (24, 48))["train"]
    strange[3, 3] = 16
    with pytest.raises(DataError, match="label 16; the data set has the classes 1 to 15"):
        broken(1, train=strange).setup("fit")
    with pytest.raises(DataError, match="143 bands"):
        broken(2, hs=scene(143, 15, (24, 48))["hs"]).setup("fit")
    holes = scene(144, 15, (24, 48))["aux"]
    holes[0, 0] = np.nan
    with pytest.raises(DataError, match="1 values that are not finite"):
        broken(3, aux=holes).setup("fit")


def test_label_maps_in_colours() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 0], picture[1, 2] = (255, 0, 0), (0, 0, 255)
    labels = as_labels(picture, 2, None, "x", [[255, 0, 0], [0, 0, 255]])
    assert labels.tolist() == [[0, -1, -1], [-1, -1, 1]]
    with pytest.raises(DataError, match="palette"):
        as_labels(picture, 2, None, "x")
    with pytest.raises(DataError, match=r"\[0, 0, 255\]"):
        as_labels(picture, 1, None, "x", [[255, 0, 0]])
    with pytest.raises(DataError, match="3 bands"):
        as_raster(np.zeros((4, 5, 3)), 2, None, "x")
    assert as_raster(np.zeros((7, 4, 5)), 7, None, "x").shape == (7, 4, 5)


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"hsi": {"Data": np.ones((2, 2))}, "other": 1.0})
    with pytest.raises(DataError, match="no variable cube; it holds hsi, other"):
        read_array(tmp_path / "a.mat", "cube")
    with pytest.raises(DataError, match="hsi has no field Lidar"):
        read_array(tmp_path / "a.mat", "hsi.Lidar.0.z")
    (tmp_path / "b.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:150])
    with pytest.raises(DataError, match="truncated"):
        read_array(tmp_path / "b.mat", "hsi")


# --- splits ---


def blocks(seed: int = 0) -> np.ndarray:
    """Labels in many small regions, and one class with a single region."""
    rng = np.random.default_rng(seed)
    labels = np.full((80, 90), -1, np.int16)
    for number in range(40):
        row, column = rng.integers(0, 74), rng.integers(0, 84)
        labels[row : row + 5, column : column + 5] = number % 4
    labels[:, 86:] = -1
    labels[70:78, 87:90] = 4
    return labels


@pytest.mark.parametrize("window", [1, 7, 11])
@pytest.mark.parametrize("seed", [0, 1])
def test_disjoint_windows_never_overlap_and_regions_stay_whole(window: int, seed: int) -> None:
    labels = blocks(seed)
    split = split_pixels(labels, None, window, PixelSplitSettings(by="disjoint"), seed)
    rows = [np.argwhere(x >= 0) for x in (np.maximum(split.train, split.val), split.test)]
    distance = np.abs(rows[0][:, None] - rows[1][None]).max(-1)  # Chebyshev, written out
    assert distance.min() >= window
    parts, _ = regions.regions(labels)
    assert not set(parts[tuple(rows[0].T)]) & set(parts[tuple(rows[1].T)])
    assert 4 in split.dropped
    for label in set(range(5)) - set(split.dropped):
        assert (split.train == label).any()
        assert (split.test == label).any()


def test_leaky_has_neighbours_on_both_sides_and_says_so() -> None:
    split = split_pixels(blocks(), None, 7, PixelSplitSettings(by="leaky", train=20), 0)
    assert regions.check_disjoint(split, 7)
    assert any("leaky" in note for note in split.notes)
    kept = np.maximum(split.train, split.val)
    assert [int((kept == label).sum()) for label in range(4)] == [20] * 4
    assert not ((kept >= 0) & (split.test >= 0)).any()


def test_runs_are_contiguous_and_folds_move_on() -> None:
    labels = np.repeat([0, 1], [20, 10])[:, None].astype(np.int16)
    train, test = regions.runs(labels, 0.7)
    assert np.flatnonzero(test[:, 0] == 0).tolist() == [14, 15, 16, 17, 18, 19]
    assert np.flatnonzero(test[:, 0] == 1).tolist() == [27, 28, 29]
    assert (train[test >= 0] == -1).all()
    _, other = regions.runs(labels, 0.7, fold=1)
    assert np.flatnonzero(other[:, 0] == 0).tolist() == [8, 9, 10, 11, 12, 13]


def test_validation_comes_from_training_labels_or_is_named() -> None:
    masks = (np.array([[0, 0, 0, 0, -1, 1]], np.int16), np.array([[-1, -1, -1, -1, 0, -1]], np.int16))
    split = split_pixels(None, masks, 1, PixelSplitSettings(val=0.5), 0)
    assert split.train.tolist() == [[0, 0, -1, -1, -1, 1]]
    assert split.val.tolist() == [[-1, -1, 0, 0, -1, -1]]
    named = split_pixels(None, masks, 1, PixelSplitSettings(val="best_on_test"), 0)
    assert np.array_equal(named.val, named.test)
    assert any("best_on_test" in note for note in named.notes)
    with pytest.raises(ConfigError, match="best_on_test"):
        PixelSplitSettings(val="test")
    with pytest.raises(DataError, match="no masks"):
        split_pixels(masks[0], None, 1, PixelSplitSettings(by="published"), 0)


# --- windows and scaling ---


def test_windows_are_those_of_the_padded_raster(tmp_path: Path) -> None:
    found = scene(144, 15, (24, 48))
    write_toolkit(tmp_path / "houston2013", found)
    for padding, mode in (("symmetric", "symmetric"), ("zero", "constant")):
        data = module("houston2013", tmp_path, "data.window=7", "data.scaling=none", f"data.padding={padding}")
        data.setup("fit")
        items = data.train_dataset()
        padded = np.pad(found["aux"].astype(np.float32), 3, mode)
        for number in (0, len(items) - 1):
            _, row, column, label = items.places[number]
            item = items[number]
            assert item["target"] == label == found["train"][row, column] - 1
            np.testing.assert_allclose(item["aux"][0], padded[row : row + 7, column : column + 7], rtol=1e-6)
    assert continued(np.ones((1, 2, 2)), 3, "zero").shape == (1, 8, 8)


def test_clean_scaling_ignores_test_pixels_and_published_does_not(tmp_path: Path) -> None:
    found = scene(144, 15, (24, 48))
    write_toolkit(tmp_path / "a" / "houston2013", found)
    changed = {**found, "hs": np.where((found["test"] > 0)[..., None], 50.0, found["hs"])}
    write_toolkit(tmp_path / "b" / "houston2013", changed)
    for protocol, same in (("clean", True), ("published", False)):
        pixels = []
        for place in ("a", "b"):
            data = module("houston2013", tmp_path / place, f"data.protocol={protocol}")
            data.setup("fit")
            pixels.append(data.training_pixels()[0]["hs"])
        assert np.allclose(*pixels) is same
        assert any("transductive" in note for note in data.notes()) is not same
    clean = module("houston2013", tmp_path / "a")
    clean.setup("fit")
    values = clean.training_pixels()[0]["hs"]
    assert values.min() == pytest.approx(0)
    assert values.max() == pytest.approx(1)


def test_stored_and_random_augmentations(tmp_path: Path) -> None:
    write_toolkit(tmp_path / "houston2013", scene(144, 15, (24, 48)))
    data = module("houston2013", tmp_path, "data.window=5", "data.augment=stored")
    data.setup("fit")
    items = data.train_dataset()
    count = len(items.places)
    assert len(items) == 4 * count
    assert torch.equal(items[count]["hs"], items[0]["hs"].flip(-2))
    turned = items[3 * count]["aux"]
    assert any(torch.equal(turned, torch.rot90(items[0]["aux"], k, (-2, -1))) for k in range(4))


def test_pixels_without_positions(tmp_path: Path) -> None:
    folder = tmp_path / "houston2013_pixels"
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(1, 16), 10)).astype(np.uint8)
    savemat(folder / "HSI_TrSet.mat", {"HSI_TrSet": rng.random((150, 144))})
    savemat(folder / "LiDAR_TrSet.mat", {"LiDAR_TrSet": rng.random((150, 21))})
    savemat(folder / "TrLabel.mat", {"TrLabel": labels[:, None]})
    data = module("houston2013_pixels", tmp_path)
    data.setup("fit")
    assert data.counts("test") == [3] * 15
    assert data.counts("train") == [6] * 15
    with pytest.raises(ConfigError, match=r"data\.window=1"):
        module("houston2013_pixels", tmp_path, "data.window=7")


def test_components_replace_bands(tmp_path: Path) -> None:
    write_toolkit(tmp_path / "trento", scene(63, 6, (166, 600)))
    data = module("trento", tmp_path, "+data.reduce.hs=4", "data.channels.hs=4", "data.whiten=true")
    data.setup("fit")
    values = data.training_pixels()[0]["hs"]
    assert values.shape[1] == 4
    np.testing.assert_allclose(np.cov(values.T.astype(np.float64)), np.eye(4), atol=1e-3)
