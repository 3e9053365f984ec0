"""Samples and batches from twins of real files: roles, shapes, values, masks, metadata, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from fusionbench.data.augment import flip_batch
from fusionbench.errors import ConfigError, DataError

from . import twins
from .composing import module

HALVES = ("data.split.guard=8", "data.split.val_guard=4", "data.patch=16")


def check_sample(sample: dict[str, Any], bands: int, full: bool = False, ratio: int = 4) -> None:
    lr, guide = sample["lr"], sample["guide"]
    assert lr.dtype == guide.dtype == torch.float32
    assert lr.shape[0] == bands
    assert guide.shape == (1, lr.shape[1] * ratio, lr.shape[2] * ratio)
    assert ("target" in sample) is not full
    if not full:
        assert sample["target"].shape == (bands, *guide.shape[1:])
    assert isinstance(sample["scene"], str)
    assert isinstance(sample["sensor"], str)
    assert {type(sample["bits"]), type(sample["ratio"])} == {int}


TWINS: dict[str, tuple[Any, str, int, tuple[str, ...]]] = {
    "HDF5": (lambda at: twins.pancollection(at / "pancollection"), "worldview3", 8, ()),
    "NBU": (twins.nbu, "worldview3", 8, ("data.patch=16",)),
    "GRIP": (lambda at: twins.grip(at / "worldview2", size=(48, 64)), "worldview2", 8, HALVES),
    "GeoTIFF": (lambda at: twins.folder_pairs(at / "quickbird", "abcd", size=64), "quickbird", 4, ("data.patch=16",)),
}


@pytest.mark.parametrize("name", TWINS)
def test_from_files_to_batches(name: str, tmp_path: Path) -> None:
    make, data, bands, overrides = TWINS[name]
    make(tmp_path)
    files = module(data, tmp_path, "data.source=files", *overrides)
    files.setup("fit")
    files.setup("test")
    rng = np.random.default_rng(0)
    dataset = files.train_dataset()
    check_sample(dataset.item(1, rng), bands)
    check_sample(pickle.loads(pickle.dumps(dataset)).item(0, rng), bands)
    for name_, loader in zip(files.test_sets, files.test_dataloader(), strict=True):
        batch = next(iter(loader))
        assert batch["lr"].shape[0] == 1
        check_sample(files.test_dataset(name_)[0], bands, full=name_ == "full")
        assert batch["bits"].tolist() == [11]
        assert batch["ratio"].tolist() == [4]
        assert isinstance(batch["scene"], list)
    assert files.test_sets == ["reduced", "full"]
    assert len(next(iter(files.val_dataloader()))["scene"]) >= 1
    assert len(files.fingerprint) == 64


@pytest.mark.parametrize(
    ("make", "data", "sets"),
    [
        (twins.pairmax, "worldview3", ["reduced", "full"]),
        (lambda at: twins.dlpan_mat(at / "WV3"), "worldview3", ["reduced", "full"]),
        (lambda at: twins.gaofen2_tiles(at / "gaofen2"), "gaofen2", ["reduced", "full"]),
    ],
)
def test_sets_that_only_test(make: Any, data: str, sets: list[str], tmp_path: Path) -> None:
    make(tmp_path)
    files = module(data, tmp_path, "data.source=files")
    files.setup("test")
    assert files.test_sets == sets
    for name in sets:
        check_sample(files.test_dataset(name)[0], 4 if data == "gaofen2" else 8, full=name == "full")
    with pytest.raises(DataError, match=r"nothing to train on. collection \w+ in .* holds test images only"):
        files.setup("fit")


def test_values_are_digital_numbers_over_the_bit_depth(tmp_path: Path) -> None:
    twins.gaofen2_tiles(tmp_path / "gaofen2")
    files = module("gaofen2", tmp_path)
    files.setup("test")
    sample = files.test_dataset("reduced")[1]
    with rasterio.open(tmp_path / "gaofen2" / "test_low_res" / "1_mul.tif") as source:
        np.testing.assert_allclose(sample["target"].numpy() * 1023, source.read(), rtol=1e-6)
    assert sample["scene"] == "test_low_res-001"
    assert (sample["sensor"], sample["bits"]) == ("gaofen2", 10)


def test_ground_sampling_distance_is_the_targets(tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=64)
    files = module("quickbird", tmp_path, "data.patch=16")
    files.setup("test")
    reduced, full = (float(files.test_dataset(name)[0]["gsd"]) for name in ("reduced", "full"))
    assert reduced == pytest.approx(4 * full)
    assert reduced == pytest.approx(files.sensor["gsd"])


def test_patches_are_aligned_and_seeded(tmp_path: Path) -> None:
    """The same patch cut from the whole arrays: rows and columns of all three images belong together."""
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=64)
    files = module("quickbird", tmp_path, "data.patch=16")
    dataset = files.train_dataset()
    sample = dataset.item(0, np.random.default_rng(3))
    again = dataset.item(99, np.random.default_rng(3))
    assert all(torch.equal(sample[role], again[role]) for role in ("lr", "guide", "target"))
    part = next(part for part in files.parts("train") if part.name == sample["scene"])
    arrays = {role: part.facts.scaled(part.entry.array(name)) for role, name in
              (("lr", "lr"), ("guide", "guide"), ("target", "ms"))}  # fmt: skip
    places = [
        (i, j) for i in range(13) for j in range(13) if torch.equal(arrays["lr"][:, i : i + 4, j : j + 4], sample["lr"])
    ]
    assert len(places) == 1
    ((row, column),) = places
    for role in ("guide", "target"):
        cut = arrays[role][:, 4 * row : 4 * row + 16, 4 * column : 4 * column + 16]
        assert torch.equal(cut, sample[role]), role


def with_gaps(folder: Path) -> Path:
    """Four tiles, one of them with no-data pixels in the middle of MS, another in PAN."""
    twins.folder_pairs(folder, "abcd", style="folders", size=64, nodata=0)
    for path, rows in ((folder / "ms" / "a.tif", slice(30, 34)), (folder / "pan" / "b.tif", slice(100, 120))):
        with rasterio.open(path, "r+") as file:
            values = file.read()
            values[:, rows, 20:60] = 0
            file.write(values)
    return folder


def test_no_data_is_masked_counted_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_gaps(tmp_path / "quickbird")
    files = module("quickbird", tmp_path, "data.split.by=test")
    files.run_dir = tmp_path / "run"
    with caplog.at_level("WARNING"):
        files.setup("test")
    assert "a: 3.91 % of MS and 0.00 % of PAN pixels have no data" in caplog.text
    reduced, full = files.test_dataset("reduced"), files.test_dataset("full")
    for dataset in (reduced, full):
        samples = [dataset[i] for i in range(4)]
        assert {frozenset(sample) for sample in samples} == {frozenset(samples[0])}
        assert [bool(sample["valid"].all()) for sample in samples] == [False, False, True, True]
        assert all(torch.isfinite(sample[role]).all() for sample in samples for role in ("lr", "guide"))
    assert not reduced[0]["valid"][0, 30:34, 20:60].any()
    assert not full[0]["valid"][0, 120:136, 80:240].any()
    assert not full[1]["valid"][0, 100:120, 20:60].any()
    missing = files.summary()["missing_pixels"]
    assert missing["a"]["ms"] == pytest.approx(4 * 40 / 64**2)
    assert missing["b"]["pan"] == pytest.approx(20 * 40 / 256**2)
    assert set(missing) == {"a", "b"}
    assert json.loads((tmp_path / "run" / "data.json").read_text())["missing_pixels"] == missing


def test_no_training_patch_holds_a_missing_pixel(tmp_path: Path) -> None:
    with_gaps(tmp_path / "quickbird")
    files = module("quickbird", tmp_path, "data.patch=8", "data.split.test=[d]", "data.split.val=[c]")
    dataset = files.train_dataset()
    rng = np.random.default_rng(0)
    gap = files.parts("train")[0].entry.array("valid_ms")[0]
    names = set()
    for _ in range(300):
        sample = dataset.item(0, rng)
        names.add(sample["scene"])
        if sample["scene"].startswith("a"):
            ms = files.parts("train")[0].facts.scaled(files.parts("train")[0].entry.array("ms"))
            spots = (ms[0].unfold(0, 8, 4).unfold(1, 8, 4) == sample["target"][0]).all(-1).all(-1).nonzero()
            assert len(spots) == 1
            row, column = (4 * int(v) for v in spots[0])
            assert gap[row : row + 8, column : column + 8].all()
    assert {name[0] for name in names} == {"a", "b"}


def test_scenes_too_small_for_a_patch(tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=32)
    files = module("quickbird", tmp_path, "data.patch=64")
    with pytest.raises(DataError, match=r"no training patch of 64 px without missing pixels fits into the scenes: b "):
        files.train_dataset()


# --- ground on both sides ---


def test_a_tile_given_to_both_sides_is_refused(tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", size=64, seeds=[1, 2, 3, 1])  # d is a again
    files = module("quickbird", tmp_path, "data.patch=16", "data.split.test=[d]", f"paths.run={tmp_path}/run")
    with pytest.raises(DataError, match=r"share ground.*test d at \(0, 0\) = train a at \(0, 0\)"):
        files.setup("fit")
    together = module("quickbird", tmp_path, "data.patch=16", "data.split.test=[a,d]")
    together.setup("fit")


@pytest.mark.parametrize("align", ["none", "global"])
def test_ground_shared_in_part_is_refused(align: str, tmp_path: Path) -> None:
    """Two images of neighbouring frames, 20 MS px of ground in common."""
    strip = twins.pair(9, 4, (64, 108))
    folder = tmp_path / "quickbird"
    twins.folder_pairs(folder, "bc", style="folders", size=64)
    for name, columns in (("a", slice(0, 64)), ("d", slice(44, 108))):
        fine = slice(4 * columns.start, 4 * columns.stop)
        twins.raster(folder / "ms" / f"{name}.tif", strip["ms"][:, :, columns])
        twins.raster(folder / "pan" / f"{name}.tif", strip["pan"][:, :, fine])
    overrides = ("data.patch=16", f"data.align={align}", "data.split.val=[b]", "data.split.test=[d]")
    files = module("quickbird", tmp_path, *overrides)
    with pytest.raises(DataError, match=r"share ground.*test d.*= train a"):
        files.setup("fit")


def test_a_published_patch_that_is_test_ground_is_refused(tmp_path: Path) -> None:
    twins.pancollection(tmp_path / "pancollection")
    import h5py

    with h5py.File(tmp_path / "pancollection" / "test_wv3_multiExm1.h5") as test:
        stolen = test["gt"][1, :, 40:104, 30:94]
    with h5py.File(tmp_path / "pancollection" / "train_wv3.h5", "r+") as train:
        train["gt"][4] = stolen
    files = module("worldview3", tmp_path)
    with pytest.raises(DataError, match=r"test_wv3_multiExm1-01 at .* = train patch 4 at"):
        files.setup("fit")


def test_halves_of_one_scene_share_nothing(tmp_path: Path) -> None:
    twins.grip(tmp_path / "worldview2", size=(96, 96))
    files = module("worldview2", tmp_path, *HALVES)
    files.setup("fit")
    assert files.find_overlaps() == []
    assert files.split.rule == "block"


def test_split_is_written_and_can_be_used_again(tmp_path: Path) -> None:
    twins.grip(tmp_path / "worldview2", size=(48, 64))
    files = module("worldview2", tmp_path, *HALVES)
    files.run_dir = tmp_path / "run"
    files.setup("fit")
    again = module("worldview2", tmp_path, "data.split.by=file", f"data.split.file={tmp_path}/run/split.json")
    assert again.split.pieces == files.split.pieces


# --- fingerprints, alignment, settings ---


def test_fingerprint_follows_pixels_and_settings(tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", style="folders", size=32)

    def mark(*overrides: str) -> str:
        return str(module("quickbird", tmp_path, "data.patch=16", *overrides).fingerprint)

    before = mark()
    assert mark() == before
    assert mark("data.batch_size=3", "data.workers=1") == before
    others = {mark("data.split.fold=1"), mark("data.align=global"), mark("data.bits=12"), mark("data.grid=dlpan")}
    assert len(others | {before}) == 5
    with rasterio.open(tmp_path / "quickbird" / "ms" / "a.tif", "r+") as file:
        values = file.read()
        values[0, 0, 0] += 1
        file.write(values)
    assert mark() != before


def test_global_alignment_moves_pan_back(tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", style="folders", size=64)
    for name in "abcd":
        with rasterio.open(tmp_path / "quickbird" / "pan" / f"{name}.tif", "r+") as file:
            file.write(np.roll(file.read(), 2, axis=1))
    shifts = {}
    for align in ("none", "global"):
        files = module("quickbird", tmp_path, "data.patch=16", f"data.align={align}")
        files.setup("test")
        shifts[align] = files.parts("test")[0].entry
    raw, moved = (shifts[align].array("pan")[0].astype(float) for align in ("none", "global"))
    assert raw.shape == moved.shape
    true = np.roll(raw, -2, axis=0)
    inside = (slice(20, -20), slice(20, -20))
    assert np.abs(moved - true)[inside].mean() < 0.2 * np.abs(raw - true)[inside].mean()
    rows = module("quickbird", tmp_path, "data.patch=16")
    rows.setup("test")
    assert {row["set"] for row in rows.shifts()} == {"test"}
    assert rows.shifts()[0]["dy"] == pytest.approx(-2, abs=0.15)


def test_alignment_needs_native_scenes(tmp_path: Path) -> None:
    twins.gaofen2_tiles(tmp_path / "gaofen2")
    files = module("gaofen2", tmp_path, "data.align=global")
    with pytest.raises(ConfigError, match=r"data\.align=global needs native scenes; gf2 holds pairs already degraded"):
        files.setup("test")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.patch=18", r"data\.patch=18: a multiple of the ratio 4"),
        ("data.batch_size=0", r"data\.batch_size=0: 1 or more"),
        ("data.augment=flip", r"data\.augment=flip: one of none, flips"),
        ("data.channels.lr=5", r"data\.channels\.lr=5, but the sensor quickbird has 4 bands"),
        ("data.simulation.val=[101]", r"seeds \[101\] stand twice"),
        ("data.simulation.size=32", r"data\.simulation\.size=32: at least data\.patch=64"),
    ],
)
def test_settings_that_cannot_be(override: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        module("quickbird", tmp_path, "data.source=simulated", override)


def test_flips_do_not_fit_the_dlpan_grid(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.augment=flips does not fit data\.grid=dlpan"):
        module("quickbird", tmp_path, "data.source=simulated", "data.augment=flips", "data.grid=dlpan")


def test_flips_turn_all_images_of_a_sample_alike() -> None:
    fine = torch.arange(8 * 8.0).reshape(1, 1, 8, 8).repeat(16, 1, 1, 1)
    coarse = torch.nn.functional.avg_pool2d(fine, 4)
    turned = flip_batch({"lr": coarse, "guide": fine, "scene": ["a"] * 16}, seed=0, step=3, rank=0)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(turned["guide"], 4), turned["lr"])
    assert turned["scene"] == ["a"] * 16
    assert len({tuple(image.flatten().tolist()) for image in turned["guide"]}) > 4
    again = flip_batch({"lr": coarse, "guide": fine}, seed=0, step=3, rank=0)
    assert torch.equal(again["guide"], turned["guide"])


# --- files that are not right, through the whole door ---


def bad_size(folder: Path) -> None:
    twins.raster(folder / "pan" / "a.tif", twins.pair(0, 4, (64, 65))["pan"])


def bad_partner(folder: Path) -> None:
    (folder / "ms" / "b.tif").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (bad_size, r"scene a: sizes are not in the ratio 4: MS 64x64 .*PAN 256x260 .*should be 256x256"),
        (bad_partner, r"no partner for pan/b\.tif; PAN and MS of a scene share the rest of their name"),
    ],
)
def test_folders_that_are_not_right(spoil: Any, said: str, tmp_path: Path) -> None:
    twins.folder_pairs(tmp_path / "quickbird", "abcd", style="folders", size=64)
    spoil(tmp_path / "quickbird")
    with pytest.raises(DataError, match=said):
        _ = module("quickbird", tmp_path).source


def test_extents_and_systems_are_compared_per_scene(tmp_path: Path) -> None:
    folder = twins.folder_pairs(tmp_path / "quickbird", "ab", style="folders", size=16, georeferenced=True)
    with rasterio.open(folder / "pan" / "b.tif", "r+") as file:
        file.crs = "EPSG:32651"
    with pytest.raises(DataError, match=r"scene b: MS is in EPSG:32650"):
        _ = module("quickbird", tmp_path).source


def test_hdf5_of_another_sensor(tmp_path: Path) -> None:
    twins.patches(tmp_path / "pancollection" / "train_wv3.h5", 2, bands=4)
    with pytest.raises(DataError, match=r"train_wv3\.h5: patches are .* expected .*channels\.lr=8"):
        _ = module("worldview3", tmp_path).source


def test_hdf5_without_the_key(tmp_path: Path) -> None:
    twins.patches(tmp_path / "pancollection" / "train_wv3.h5", 2, reference=False)
    with pytest.raises(DataError, match=r"train_wv3\.h5: no key 'gt'; the file has lms, ms, pan"):
        _ = module("worldview3", tmp_path).source


def test_two_training_files(tmp_path: Path) -> None:
    for name in ("train_wv3.h5", "train_wv3_10000.h5"):
        twins.patches(tmp_path / "pancollection" / name, 2)
    with pytest.raises(DataError, match=r"several train files of wv3: .*name one folder with data\.root"):
        _ = module("worldview3", tmp_path).source
