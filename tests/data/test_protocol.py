"""Wald's protocol on files: degraded as a whole image would be, missing pixels counted and kept out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionbench.data import protocol
from fusionbench.data.protocol import estimate_scene_shift, write_piece
from fusionbench.data.readers.image import ArrayImage, Scene, Window
from fusionbench.errors import DataError
from fusionbench.imaging.wald import degrade_ms, degrade_pan

from . import twins

GAINS = (0.34, 0.32, 0.3, 0.22)


def scene(**changes: Any) -> Scene:
    images = twins.pair(5, 4, (48, 40)) | changes
    return Scene("a", ArrayImage(images["ms"], Path("ms.tif")), ArrayImage(images["pan"], Path("pan.tif")))


def written(folder: Path, given: Scene, window: Window | None = None, **settings: Any) -> dict[str, Any]:
    """The arrays of a piece, and its facts."""
    folder.mkdir()
    options: dict[str, Any] = {"ratio": 4, "grid": "dlpan", "gains": GAINS, "bits": 11} | settings
    window = window or Window(0, given.ms.shape[1], 0, given.ms.shape[2])
    facts = write_piece(folder, given, window, **options)
    return {path.stem: np.load(path) for path in folder.glob("*.npy")} | {"facts": facts}


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_degraded_like_the_whole_image(grid: str, tmp_path: Path) -> None:
    given = scene()
    piece = written(tmp_path / "a", given, grid=grid)
    ms, pan = (torch.from_numpy(image.array.astype(np.float64)) for image in (given.ms, given.pan))
    np.testing.assert_array_equal(piece["ms"], given.ms.array)
    np.testing.assert_array_equal(piece["pan"], given.pan.array)
    assert piece["ms"].dtype == np.uint16
    np.testing.assert_allclose(piece["lr"], degrade_ms(ms, GAINS, 4, grid).numpy(), rtol=1e-6)
    np.testing.assert_allclose(piece["guide"], degrade_pan(pan, 4).numpy(), rtol=1e-6)
    assert piece["lr"].shape == (4, 12, 10)
    assert piece["guide"].shape == (1, 48, 40)


def test_it_is_the_toolbox_protocol(references: Path, tmp_path: Path) -> None:
    """A synthetic image degraded by the field's MATLAB toolbox with QuickBird's gains."""
    stored = np.load(references / "synthetic_qb_4band.npz")
    fine = np.zeros((1, 512, 512), np.uint16)
    ms = written(tmp_path / "ms", Scene("a", ArrayImage(stored["reference"]), ArrayImage(fine)))
    pan = written(tmp_path / "pan", Scene("a", ArrayImage(stored["ms"]), ArrayImage(stored["pan"])))
    np.testing.assert_allclose(ms["lr"], stored["wald_ms"], rtol=1e-6)
    np.testing.assert_allclose(pan["guide"], stored["wald_pan"], rtol=1e-6)


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_strips_do_not_show(ratio: int, grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = twins.pair(6, 4, (120, 20), ratio)
    given = scene(**images)
    whole = written(tmp_path / "whole", given, ratio=ratio, grid=grid)
    monkeypatch.setattr(protocol, "STRIP", 24)
    strips = written(tmp_path / "strips", given, ratio=ratio, grid=grid)
    for name in ("ms", "pan", "lr", "guide"):
        np.testing.assert_allclose(strips[name], whole[name], rtol=1e-6, err_msg=name)


def test_a_window_is_cut_to_the_ratio_and_sees_nothing_outside(tmp_path: Path) -> None:
    given = scene()
    window = Window(4, 39, 8, 31)
    piece = written(tmp_path / "a", given, window)
    assert piece["ms"].shape == (4, 32, 20)
    assert piece["facts"]["window"] == [4, 36, 8, 28]
    np.testing.assert_array_equal(piece["pan"], given.pan.array[:, 16:144, 32:112])
    changed = {"ms": given.ms.array.copy(), "pan": given.pan.array.copy()}
    outside = np.ones((48, 40), bool)
    outside[4:36, 8:28] = False
    changed["ms"][:, outside] = 7
    changed["pan"][:, outside.repeat(4, 0).repeat(4, 1)] = 7
    again = written(tmp_path / "b", scene(**changed), window)
    for name in ("ms", "pan", "lr", "guide"):
        np.testing.assert_array_equal(again[name], piece[name], err_msg=name)


def test_missing_pixels_are_filled_counted_and_spread(tmp_path: Path) -> None:
    images = twins.pair(5, 4, (48, 40))
    clean = written(tmp_path / "clean", scene())
    ms, pan = (images[name].astype(np.float32) for name in ("ms", "pan"))
    ms[:, 20:22, 20] = np.nan
    pan[0, 100, 60:62] = np.nan
    piece = written(tmp_path / "a", scene(ms=ms, pan=pan))
    assert piece["facts"]["ms"]["missing"] == pytest.approx(2 / (48 * 40))
    assert piece["facts"]["pan"]["missing"] == pytest.approx(2 / (192 * 160))
    assert (~piece["valid_ms"]).sum() == 2
    assert (~piece["valid_pan"]).sum() == 2
    for name in ("ms", "pan", "lr", "guide"):
        assert np.isfinite(piece[name]).all()
    # where a degraded pixel is called valid, the missing ones hardly weigh
    for name, low in (("valid_lr", "lr"), ("valid_guide", "guide")):
        assert (~piece[name]).any()
        assert piece[name].mean() > 0.7
        error = np.abs(piece[low] - clean[low])[:, piece[name][0]]
        assert error.max() < 0.01 * 2047


def test_saturated_pixels_are_counted(tmp_path: Path) -> None:
    images = twins.pair(5, 4, (48, 40))
    images["pan"][0, :10, :16] = 2047
    piece = written(tmp_path / "a", scene(pan=images["pan"]))
    assert piece["facts"]["pan"]["saturated"] == pytest.approx(160 / (192 * 160))
    assert piece["facts"]["ms"]["saturated"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda x: x + 2000,
            r"scene a: ms\.tif holds values up to \d+, more than 11 bits can \(2047\): set data\.bits",
        ),
        (lambda x: x.astype(np.int16) - 500, r"holds negative values \(-\d+\): set data\.nodata"),
        (lambda x: np.full(x.shape, np.nan, np.float32), r"ms\.tif: no valid pixel"),
    ],
)
def test_values_that_cannot_be(change: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        written(tmp_path / "a", scene(ms=change(twins.pair(5, 4, (48, 40))["ms"])))


def test_pan_is_moved_before_it_is_degraded(tmp_path: Path) -> None:
    images = twins.pair(5, 4, (48, 40))
    images["pan"] = np.roll(images["pan"], (2, -1), (1, 2))  # 2 rows too low, 1 column too far left
    piece = written(tmp_path / "a", scene(pan=images["pan"]), move=(-2.0, 1.0))
    clean = written(tmp_path / "clean", scene())
    inside = (slice(None), slice(40, -40), slice(40, -40))
    np.testing.assert_allclose(piece["pan"][inside], clean["pan"][inside], atol=0.01 * 2047)
    assert piece["pan"].dtype == np.float32
    inner = (slice(None), slice(10, -10), slice(10, -10))
    np.testing.assert_allclose(piece["guide"][inner], clean["guide"][inner], atol=0.01 * 2047)


@pytest.mark.parametrize("moved", [(0, 0), (2, -1)])
def test_shift_of_a_pair_is_the_one_to_apply(moved: tuple[int, int]) -> None:
    images = twins.pair(7, 4, 64)
    pan = np.roll(images["pan"], moved, (1, 2))
    shift = estimate_scene_shift(ArrayImage(images["ms"]), ArrayImage(pan), 4, "area")
    assert (shift["dy"], shift["dx"]) == pytest.approx((-moved[0], -moved[1]), abs=0.15)
    assert shift["r2_after"] >= shift["r2_before"]
