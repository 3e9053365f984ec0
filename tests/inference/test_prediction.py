"""Tiled, georeferenced prediction on files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from fusionbench.errors import ConfigError, DataError, DataNotFoundError, RefusedError, UserError
from fusionbench.imaging.tiling import receptive_radius
from fusionbench.inference import prediction, scene
from fusionbench.inference.prediction import plan, predict_files
from fusionbench.networks.pansharpening import DRPNN, MSDCNN, PNN, DiCNN, FusionNet, PanNet

from .scenes import (
    PAN_TRANSFORM,
    UTM,
    Exp,
    Fuser,
    GuideOnly,
    SceneMean,
    facts,
    read,
    save,
    save_pair,
    seeded,
    smooth,
    texture,
)


@pytest.mark.parametrize(
    ("network", "grid"),
    [(n, "area") for n in (PanNet, FusionNet, PNN, DiCNN, MSDCNN, DRPNN)] + [(PanNet, "dlpan"), (FusionNet, "dlpan")],
)
def test_result_does_not_depend_on_the_tile(network: type[torch.nn.Module], grid: str, tmp_path: Path) -> None:
    inputs = save_pair(tmp_path, texture(3, 23, 29), texture(1, 92, 116, seed=1))
    fuser = Fuser(seeded(network, 3, 4, grid))
    fuser.network.radius = receptive_radius(fuser.network, 3, 4)  # measured once, not for every tile size
    known = facts(3, grid=grid)
    images = []
    for tile in (1000, 64, 49):
        done = predict_files(fuser, known, inputs, tmp_path / f"{tile}.tif", tile=tile, dtype="float32")
        images.append(read(done.path))
    # float32 sums in another order, on values of about 1000
    np.testing.assert_allclose(images[1], images[0], rtol=1e-5, atol=0.02)
    np.testing.assert_allclose(images[2], images[0], rtol=1e-5, atol=0.02)


@pytest.mark.parametrize("network", [PanNet, FusionNet])
def test_inside_it_equals_the_network_on_the_whole_scene(network: type[torch.nn.Module], tmp_path: Path) -> None:
    ms, pan = texture(4, 48, 40), texture(1, 192, 160, seed=1)
    fuser = Fuser(seeded(network, 4, 4, "area"))
    done = predict_files(fuser, facts(), save_pair(tmp_path, ms, pan), tmp_path / "out.tif", tile=64, dtype="float32")
    with torch.no_grad():
        lr, guide = (torch.from_numpy(x.astype(np.float32))[None] / 2047 for x in (ms, pan))
        direct = fuser.network(lr, guide)[0].numpy() * 2047
    inside = (slice(None), slice(64, -64), slice(64, -64))
    np.testing.assert_allclose(read(done.path)[inside], direct[inside], rtol=1e-5, atol=0.02)


def test_output_keeps_what_the_inputs_say(tmp_path: Path) -> None:
    inputs = save_pair(tmp_path, texture(4, 20, 25), texture(1, 80, 100, seed=1), nodata=0)
    with rasterio.open(inputs["lr"], "r+") as source:
        source.descriptions = ("blue", "green", "red", "nir")
    done = predict_files(Fuser(GuideOnly()), facts(), inputs, tmp_path / "out.tif")
    with rasterio.open(done.path) as fused:
        assert (fused.count, fused.height, fused.width) == (4, 80, 100)
        assert (fused.dtypes[0], fused.nodata, fused.crs.to_string()) == ("uint16", 0, UTM)
        assert fused.transform == PAN_TRANSFORM
        assert fused.descriptions == ("blue", "green", "red", "nir")
    np.testing.assert_array_equal(read(done.path), np.repeat(read(inputs["guide"]), 4, axis=0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ms.tif", "out.tif", "pan.tif"]


@pytest.mark.parametrize("cog", [False, True])
def test_large_outputs_are_tiled(cog: bool, tmp_path: Path) -> None:
    inputs = save_pair(tmp_path, texture(2, 150, 140), texture(1, 600, 560, seed=1))
    done = predict_files(Fuser(GuideOnly()), facts(2), inputs, tmp_path / "out.tif", tile=256, cog=cog)
    with rasterio.open(done.path) as fused:
        assert fused.profile["tiled"]
        if cog:
            assert fused.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert fused.overviews(1)
    np.testing.assert_array_equal(read(done.path)[1], read(inputs["guide"])[0])


@pytest.mark.parametrize("offset", [(0, 0), (-6, 5), (3, -9)])
def test_offset_extents_meet(offset: tuple[int, int], tmp_path: Path) -> None:
    """MS and PAN cut from one smooth image at other places, sizes not in the ratio: EXP lands on the image."""
    row, column = offset
    world = smooth(1, 200, 240).astype(float)
    pan = world[:, 40:141, 40:163]
    ms = world[:, 40 + row : 140 + row, 40 + column : 160 + column].reshape(1, 25, 4, 30, 4).mean(axis=(2, 4))
    inputs = save_pair(tmp_path, ms.astype(np.float32), pan.astype(np.float32), offset=offset)
    fused = predict_files(Fuser(Exp()), facts(1), inputs, tmp_path / "exp.tif", tile=33)
    guide = predict_files(Fuser(GuideOnly()), facts(1), inputs, tmp_path / "pan.tif2", tile=33)
    top, left = max(0, row), max(0, column)
    assert (fused.height, fused.width) == (min(101, 100 + row) - top, min(123, 120 + column) - left)
    with rasterio.open(fused.path) as source:
        assert source.transform == PAN_TRANSFORM * Affine.translation(left, top)
    np.testing.assert_allclose(read(guide.path), pan[:, top : top + fused.height, left : left + fused.width])
    error = (read(fused.path) - read(guide.path))[:, 16:-16, 16:-16]
    assert np.abs(error).max() < 8  # of 300: block means lose a little, half a PAN px would be 15


@pytest.mark.parametrize(("offset", "grid"), [(0.4, "area"), (-0.3, "area"), (0.0, "dlpan"), (0.3, "dlpan")])
def test_sub_pixel_offsets_are_taken_out(offset: float, grid: str, tmp_path: Path) -> None:
    """Samples of one analytic wave on shifted grids, for methods of both grids."""
    pan = np.arange(160) + 0.5
    ms = 4 * (np.arange(40) + 0.5) + offset

    def wave(x: np.ndarray) -> np.ndarray:
        return (1000 + 300 * np.sin(x[:, None] / 9) * np.cos(x[None, :] / 11))[None].astype(np.float32)

    inputs = save_pair(tmp_path, wave(ms), wave(pan), offset=(offset, offset))
    done = predict_files(Fuser(Exp(grid=grid)), facts(1, grid=grid), inputs, tmp_path / "exp.tif")
    start = 40
    error = (
        read(done.path)[:, start:-start, start:-start]
        - wave(pan)[:, start : done.height - start, start : done.width - start]
    )
    assert np.abs(error).max() < 1.5  # 0.1 PAN px would be 3


def test_no_data_is_masked_counted_and_kept(tmp_path: Path) -> None:
    ms, pan = smooth(3, 30, 30), smooth(1, 120, 120)
    ms[:, 10:12, 20] = 0
    pan[:, 100, 3:6] = 0
    inputs = save_pair(tmp_path, ms, pan, nodata=0)
    done = predict_files(Fuser(Exp()), facts(3), inputs, tmp_path / "out.tif", tile=32)
    expected = np.zeros((120, 120), bool)
    expected[40:48, 80:84] = expected[100, 3:6] = True
    np.testing.assert_array_equal((read(done.path) == 0).all(axis=0), expected)
    assert done.invalid == expected.sum()
    # the hole is filled before it is upsampled: no ringing around it
    clean = predict_files(
        Fuser(Exp()), facts(3), save_pair(tmp_path, smooth(3, 30, 30), pan), tmp_path / "clean.tif", tile=32
    )
    difference = np.where(expected, 0, read(done.path).astype(float) - read(clean.path))
    assert np.abs(difference).max() < 80


def test_nan_is_masked(tmp_path: Path) -> None:
    ms = smooth(2, 20, 20).astype(np.float32)
    ms[0, 5, 6] = np.nan
    inputs = save_pair(tmp_path, ms, smooth(1, 80, 80).astype(np.float32))
    done = predict_files(Fuser(Exp()), facts(2), inputs, tmp_path / "out.tif")
    fused = read(done.path)
    assert done.invalid == 16
    assert np.isnan(fused[:, 20:24, 24:28]).all()
    assert np.isfinite(fused).sum() == fused.size - 2 * 16


def test_masked_result_does_not_depend_on_the_tile(tmp_path: Path) -> None:
    ms, pan = texture(2, 40, 40), texture(1, 160, 160, seed=1)
    ms[:, 8:30, 8:30] = 0
    inputs = save_pair(tmp_path, ms, pan, nodata=0)
    fuser = Fuser(seeded(FusionNet, 2, 4, "area"))
    whole, tiled = (
        read(predict_files(fuser, facts(2), inputs, tmp_path / f"{t}.tif", tile=t, dtype="float32").path)
        for t in (500, 48)
    )
    np.testing.assert_allclose(tiled, whole, rtol=1e-5, atol=0.02)


def test_valid_pixels_never_become_no_data(tmp_path: Path) -> None:
    pan = np.full((1, 40, 40), 3, np.uint16)
    inputs = save_pair(tmp_path, texture(1, 10, 10), pan, nodata=3)
    inputs["guide"] = save(tmp_path / "pan2.tif", pan, PAN_TRANSFORM)
    done = predict_files(Fuser(GuideOnly()), facts(1), inputs, tmp_path / "out.tif")
    assert (read(done.path) == 4).all()


def test_rounded_and_clipped_to_the_type(tmp_path: Path) -> None:
    inputs = save_pair(tmp_path, texture(1, 10, 10), np.full((1, 40, 40), 300, np.uint16))
    done = predict_files(Fuser(GuideOnly()), facts(1), inputs, tmp_path / "out.tif", dtype="uint8")
    assert (read(done.path) == 255).all()


def test_without_georeference(tmp_path: Path) -> None:
    inputs = {
        "lr": save(tmp_path / "ms.tif", texture(2, 10, 10)),
        "guide": save(tmp_path / "pan.tif", texture(1, 41, 40)),
    }
    done = predict_files(Fuser(GuideOnly()), facts(2), inputs, tmp_path / "out.tif")
    assert "upper-left corners" in done.alignment
    assert (done.height, done.width) == (40, 40)


def test_method_that_cannot_be_tiled_sees_the_whole_scene(tmp_path: Path) -> None:
    inputs = save_pair(tmp_path, texture(2, 40, 40), texture(1, 160, 160))
    done = predict_files(Fuser(SceneMean()), facts(2), inputs, tmp_path / "out.tif", tile=64)
    assert (done.whole, done.tiles) == (True, 1)


def test_scene_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "available_memory", lambda: 100_000)
    inputs = save_pair(tmp_path, texture(2, 40, 40), texture(1, 160, 160))
    with pytest.raises(RefusedError, match=r"SceneMean uses statistics of the whole scene.*160 x 160"):
        predict_files(Fuser(SceneMean()), facts(2), inputs, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(("network", "radius"), [(PNN, 8), (FusionNet, 10), (DiCNN, 3), (DRPNN, 33)])
def test_margin_covers_network_and_interpolator(network: type[torch.nn.Module], radius: int) -> None:
    scheme = plan(Fuser(seeded(network, 2)), facts(2))
    # the two passes of the 23-tap filter reach 33 px
    assert radius + 33 <= scheme.margin <= radius + 33 + 16


class Failing(GuideOnly):
    def forward(self, lr: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
        if guide.max() > 1:
            raise RuntimeError("interrupted")
        return super().forward(lr, guide)


def test_interrupted_run_leaves_the_old_file(tmp_path: Path) -> None:
    pan = texture(1, 160, 160)
    pan[0, 150, 150] = 4000
    inputs = save_pair(tmp_path, texture(2, 40, 40), pan)
    (tmp_path / "out.tif").write_text("the old one")
    with pytest.raises(RuntimeError, match="interrupted"):
        predict_files(Fuser(Failing()), facts(2), inputs, tmp_path / "out.tif", tile=64, overlap=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ms.tif", "out.tif", "pan.tif"]
    assert (tmp_path / "out.tif").read_text() == "the old one"


def refused(tmp_path: Path, error: type[UserError], match: str, **changes: object) -> None:
    inputs = save_pair(tmp_path, texture(2, 10, 10), texture(1, 40, 40))
    inputs.update(changes.pop("inputs", {}))
    out = changes.pop("out", tmp_path / "out.tif")
    with pytest.raises(error, match=match):
        predict_files(Fuser(GuideOnly()), facts(2), inputs, out, **changes)
    assert not (tmp_path / "out.tif").exists()


def test_bad_input(tmp_path: Path) -> None:
    foreign = save(tmp_path / "foreign.tif", texture(1, 40, 40), PAN_TRANSFORM, crs="EPSG:32651")
    far = save(tmp_path / "far.tif", texture(1, 40, 40), PAN_TRANSFORM * Affine.translation(900, 0))
    text = tmp_path / "notes.tif"
    text.write_text("no raster")
    refused(tmp_path, DataNotFoundError, r"inputs\.guide.*nothing\.tif", inputs={"guide": tmp_path / "nothing.tif"})
    refused(tmp_path, DataError, r"notes\.tif is not a raster", inputs={"guide": text})
    refused(tmp_path, DataError, r"EPSG:32650.*EPSG:32651", inputs={"guide": foreign})
    refused(tmp_path, DataError, "do not overlap", inputs={"guide": far})
    refused(tmp_path, DataError, r"ms\.tif has 2 bands, the method takes 1", inputs={"guide": tmp_path / "ms.tif"})
    refused(tmp_path, ConfigError, "choose one of uint8", dtype="complex64")
    refused(tmp_path, ConfigError, "one of the inputs", out=tmp_path / "ms.tif")
    refused(tmp_path, ConfigError, "folder", out=tmp_path)
    refused(tmp_path, ConfigError, "tile=0", tile=0)
    refused(tmp_path, UserError, "cannot be written", out=text / "out.tif")


def test_truncated_raster(tmp_path: Path) -> None:
    inputs = save_pair(tmp_path, texture(2, 10, 10), texture(1, 40, 40))
    data = inputs["guide"].read_bytes()
    inputs["guide"].write_bytes(data[:-1500])
    with pytest.raises(DataError, match=r"pan\.tif"):
        predict_files(Fuser(GuideOnly()), facts(2), inputs, tmp_path / "out.tif")


def test_memory_is_bounded_by_the_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a read nor a fused window grows with the scene."""
    largest: dict[int, int] = {}
    read_window = scene.Raster.read

    for rows in (60, 240):
        seen: list[int] = []

        def watched(self: scene.Raster, *where: tuple[int, int, int, int], seen: list[int] = seen) -> Any:
            values, valid = read_window(self, *where)
            seen.append(values.numel())
            return values, valid

        monkeypatch.setattr(scene.Raster, "read", watched)
        inputs = save_pair(tmp_path, texture(2, rows, 40), texture(1, 4 * rows, 160, seed=1))
        done = predict_files(Fuser(GuideOnly()), facts(2), inputs, tmp_path / "out.tif", tile=64, overlap=8)
        assert done.tiles == -(-4 * rows // 64) * 3
        largest[rows] = max(seen)
    assert largest[60] == largest[240] == (64 + 2 * 8) ** 2
