"""Readers: whole and by window, missing pixels, and what they say of files that are not right."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from fusionbench.data.readers.geotiff import RasterImage, check_georeference
from fusionbench.data.readers.hdf5 import Hdf5File, Hdf5Image, hdf5_keys
from fusionbench.data.readers.image import ArrayImage, Window, check_pair, whole
from fusionbench.data.readers.mat import MatImage, mat_shapes, read_mat
from fusionbench.errors import DataError

from . import twins

PART = Window(3, 17, 5, 30)


def cut(image: np.ndarray, window: Window = PART) -> np.ndarray:
    return image[:, window.top : window.bottom, window.left : window.right]


@pytest.fixture
def image() -> np.ndarray:
    return twins.pair(0, 4, 32)["ms"]


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_mat_of_both_versions(version: str, image: np.ndarray, tmp_path: Path) -> None:
    path = twins.mat(tmp_path / "scene.mat", {"I_MS": twins.last(image), "L": 11}, version)
    read = MatImage(path, "I_MS")
    assert read.shape == image.shape
    values, valid = read.read(PART)
    np.testing.assert_array_equal(values, cut(image))
    assert valid is None
    assert values.dtype == np.uint16
    assert mat_shapes(path)["I_MS"] == (32, 32, 4)
    assert int(read_mat(path, only=("L",))["L"].flat[0]) == 11


def test_mat_takes_the_only_image(image: np.ndarray, tmp_path: Path) -> None:
    path = twins.mat(tmp_path / "1.mat", {"anything": twins.last(image), "note": 3})
    assert MatImage(path).shape == (4, 32, 32)
    two = twins.mat(tmp_path / "2.mat", {"a": twins.last(image), "b": twins.last(image)})
    with pytest.raises(DataError, match=r"2\.mat: one image array was expected, found a, b"):
        _ = MatImage(two).shape
    with pytest.raises(DataError, match=r"no variable I_PAN; it holds anything, note"):
        _ = MatImage(path, "I_PAN").shape


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_truncated_mat(version: str, image: np.ndarray, tmp_path: Path) -> None:
    path = twins.mat(tmp_path / "scene.mat", {"I_MS": twins.last(image)}, version)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"scene\.mat: not a readable MAT file"):
        MatImage(path, "I_MS").read(PART)


def test_mat_that_changed_is_read_again(image: np.ndarray, tmp_path: Path) -> None:
    path = twins.mat(tmp_path / "scene.mat", {"I_MS": twins.last(image)})
    MatImage(path, "I_MS").read(PART)
    twins.mat(path, {"I_MS": twins.last(image[:, :24])})
    assert MatImage(path, "I_MS").read(whole(MatImage(path, "I_MS")))[0].shape == (4, 24, 32)


def test_hdf5_elements_and_windows(tmp_path: Path) -> None:
    path = twins.patches(tmp_path / "test_wv3.h5", 3, bands=4)
    file = Hdf5File(path, ("gt", "ms", "pan"))
    assert len(file) == 3
    with h5py.File(path) as raw:
        expected = raw["gt"][1]
    np.testing.assert_array_equal(Hdf5Image(file, "gt", 1).read(PART)[0], cut(expected))
    assert hdf5_keys(path) == ["gt", "lms", "ms", "pan"]


def test_hdf5_handle_does_not_travel(tmp_path: Path) -> None:
    file = Hdf5File(twins.patches(tmp_path / "a.h5", 2, bands=4), ("gt", "ms"))
    first = file.read("gt", 0)
    copy = pickle.loads(pickle.dumps(file))
    assert copy._handle is None
    np.testing.assert_array_equal(copy.read("gt", 0), first)


def test_hdf5_without_the_key(tmp_path: Path) -> None:
    path = twins.patches(tmp_path / "a.h5", 2, bands=4, reference=False)
    with pytest.raises(DataError, match=r"a\.h5: no key 'gt'; the file has lms, ms, pan"):
        Hdf5File(path, ("gt", "ms", "pan"))


def test_hdf5_of_different_lengths(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ms"], file["pan"] = np.zeros((3, 4, 8, 8)), np.zeros((2, 1, 32, 32))
    with pytest.raises(DataError, match="one N"):
        Hdf5File(tmp_path / "a.h5", ("ms", "pan"))


def test_truncated_hdf5(tmp_path: Path) -> None:
    path = twins.patches(tmp_path / "a.h5", 2, bands=4)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"a\.h5: not a readable HDF5 file.*incomplete download"):
        hdf5_keys(path)


def test_raster_by_window(image: np.ndarray, tmp_path: Path) -> None:
    read = RasterImage(twins.raster(tmp_path / "a.tif", image))
    values, valid = read.read(PART)
    np.testing.assert_array_equal(values, cut(image))
    assert valid is None
    assert (read.shape, read.dtype, read.crs) == (image.shape, np.uint16, None)


@pytest.mark.parametrize("how", ["file", "setting", "nan", "alpha"])
def test_missing_pixels_are_found_however_they_are_marked(how: str, image: np.ndarray, tmp_path: Path) -> None:
    expected = np.ones((32, 32), bool)
    expected[4:8, 10], options, nodata = False, {}, None
    if how in ("file", "setting"):
        image[2, ~expected] = 0  # one band is enough
        options = {"nodata": 0} if how == "file" else {}
        nodata = 0 if how == "setting" else None
    elif how == "nan":
        image = image.astype(np.float32)
        image[1, ~expected] = np.nan
    else:
        image = np.concatenate([image, np.where(expected, 65535, 0).astype(np.uint16)[None]])
    path = twins.raster(tmp_path / "a.tif", image, **options)
    if how == "alpha":
        with rasterio.open(path, "r+") as file:
            file.colorinterp = [*[ColorInterp.undefined] * 4, ColorInterp.alpha]
    read = RasterImage(path, nodata)
    assert read.shape == (4, 32, 32)
    _, valid = read.read(whole(read))
    np.testing.assert_array_equal(valid, expected)


def test_raster_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("no raster")
    with pytest.raises(DataError, match=r"a\.tif: not a readable raster"):
        _ = RasterImage(path).shape


def test_truncated_raster(image: np.ndarray, tmp_path: Path) -> None:
    path = twins.raster(tmp_path / "a.tif", image)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match=r"a\.tif"):
        RasterImage(path).read(whole(RasterImage(path)))


FINE = Affine(0.5, 0, 1000, 0, -0.5, 2000)


def georeferenced(folder: Path, moved: float = 0.0, crs: str | None = twins.UTM) -> tuple[RasterImage, RasterImage]:
    """MS, and PAN moved to the right by so many MS pixels."""
    scene = twins.pair(0, 2, 16)
    ms = twins.raster(folder / "ms.tif", scene["ms"], FINE * Affine.scale(4))
    pan = twins.raster(folder / "pan.tif", scene["pan"], FINE * Affine.translation(4 * moved, 0), crs)
    return RasterImage(ms), RasterImage(pan)


@pytest.mark.parametrize("moved", [0.0, 0.4])
def test_extents_that_match(moved: float, tmp_path: Path) -> None:
    check_georeference("a", *georeferenced(tmp_path, moved))


def test_extents_that_do_not_match(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scene a: MS and PAN do not cover the same area \(corners up to 3\.00 MS pix"):
        check_georeference("a", *georeferenced(tmp_path, 3.0))


def test_reference_systems_that_do_not_match(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MS is in EPSG:32650 .*PAN in EPSG:32651 .*warp one of them"):
        check_georeference("a", *georeferenced(tmp_path, crs="EPSG:32651"))


@pytest.mark.parametrize(
    ("ms", "pan", "said"),
    [
        ((4, 8, 8), (1, 32, 33), r"not in the ratio 4: MS 8x8 .*PAN 32x33 .*should be 32x32"),
        ((8, 8, 8), (1, 32, 32), r"has 8 bands, the data config says channels\.lr=4"),
        ((4, 8, 8), (3, 32, 32), "has 3 bands; a PAN image has one"),
    ],
)
def test_pairs_that_do_not_belong_together(ms: tuple[int, ...], pan: tuple[int, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_pair("a", ArrayImage(np.zeros(ms)), ArrayImage(np.zeros(pan)), bands=4, ratio=4)
