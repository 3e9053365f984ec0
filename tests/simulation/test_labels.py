"""Labels at any GSD add up, regions stay apart, and data sets of the simulated world hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusionbench.errors import ConfigError
from fusionbench.sensors import load_sensor
from fusionbench.simulation import (
    LEGENDS,
    abundances,
    end_members,
    hs_bands,
    label_map,
    masks,
    scene_for,
    simulate_classes,
    simulate_extraction,
    simulate_unmixing,
)  # fmt: skip
from fusionbench.simulation.labels import group_of, label_regions, separated
from fusionbench.simulation.materials import CLASSES
from fusionbench.simulation.noise import stream
from fusionbench.simulation.scene import Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_for(2, 64, 2.0, 4)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    modalities = ("lidar", "ms", "sar", "polsar")
    return simulate_classes(hs_bands(400, 1000, 20), 2, 64, modalities=modalities, gsd=2.0)


def test_abundances_of_all_materials_sum_to_one_and_agree_across_gsd(scene: Scene) -> None:
    fine = abundances(scene, 2.0, 64, group_of(CLASSES))
    np.testing.assert_allclose(fine.sum(0), 1, atol=1e-5)
    coarse = abundances(scene, 8.0, 16, group_of(CLASSES))
    np.testing.assert_allclose(coarse, fine.reshape(10, 16, 4, 16, 4).mean((2, 4)), atol=1e-5)


def test_coarser_pixels_are_mixed(scene: Scene) -> None:
    pure = [(abundances(scene, gsd, n, group_of(CLASSES)).max(0) > 0.95).mean() for gsd, n in ((2.0, 64), (16.0, 8))]
    assert pure[1] < pure[0]


@pytest.mark.parametrize("legend", sorted(LEGENDS))
def test_every_class_of_a_legend_exists_somewhere(legend: str) -> None:
    maps = [label_map(scene_for(seed, 128, 13.89, 2), 13.89, 128, legend) for seed in (1, 2, 3, 6, 10)]
    seen = {int(index) for one in maps for index in np.unique(one)}
    assert set(range(len(LEGENDS[legend]))) <= seen


def test_masks_are_what_their_names_say(scene: Scene) -> None:
    found = masks(scene, 2.0, 64)
    height = scene.height.reshape(64, 4, 64, 4).mean((1, 3))
    assert height[found["building"][0] == 1].mean() > 2.5
    assert height[found["road"][0] == 1].mean() < 1.0
    assert not (found["building"] & found["road"]).any()
    covered = found["building"] | found["road"]
    assert found["impervious"].sum() > 0.8 * covered.sum()


def test_regions_are_connected_and_never_on_both_sides(made: dict[str, Any]) -> None:
    labels, regions, train, test = (made[key] for key in ("labels", "regions", "train", "test"))
    assert ((labels >= 0) == (regions > 0)).all()
    assert not set(np.unique(regions[train >= 0])) & set(np.unique(regions[test >= 0]))
    assert ((train >= 0) | (test >= 0)).sum() == (labels >= 0).sum()
    for number in np.unique(regions[regions > 0]):
        assert len(np.unique(labels[regions == number])) == 1


def test_a_map_of_one_class_is_cut_into_tiles() -> None:
    kept, regions = label_regions(np.zeros((96, 96), np.int16), 1.0, stream(0, "test"))
    assert len(np.unique(regions[regions > 0])) >= 16
    train, test = separated(kept, regions, stream(0, "test"))
    assert 0.15 < (train == 0).mean() < 0.6
    assert (test == 0).any()


def test_modalities_lie_on_one_grid(made: dict[str, Any]) -> None:
    shapes = {name: made[name].shape for name in ("hs", "lidar", "ndsm", "ms", "sar", "polsar", "labels")}
    assert shapes == {
        "hs": (20, 64, 64), "lidar": (2, 64, 64), "ndsm": (1, 64, 64), "ms": (10, 64, 64), "sar": (2, 64, 64),
        "polsar": (4, 64, 64), "labels": (64, 64),
    }  # fmt: skip
    assert all(np.isfinite(made[name]).all() for name in shapes)
    assert made["names"] == LEGENDS["cover15"]


def test_end_members_and_abundances_explain_the_image_but_for_variability() -> None:
    bands = hs_bands(420, 2400, 60)
    found = simulate_unmixing(bands, 2, 32, gsd=2.0)
    np.testing.assert_allclose(found["abundances"].sum(0), 1, atol=1e-4)
    assert found["end_members"].shape == (5, 60)
    np.testing.assert_array_equal(found["end_members"], end_members(bands, group_of(found["names"])))
    covered = found["covered"][0] > 0.99
    mixed = np.tensordot(found["end_members"].T, found["abundances"], axes=1)[:, covered]
    seen = found["hs"][:, covered]
    scale = (mixed * seen).sum(0) / (mixed * mixed).sum(0)  # light differs
    assert 0.02 < np.linalg.norm(seen - mixed * scale) / np.linalg.norm(seen) < 0.4


def test_buildings_stand_out_of_the_height() -> None:
    found = simulate_extraction(1, 96)
    mask, height = found["mask"] == 1, found["height"][0]
    assert found["optical"].shape == (4, 96, 96)
    assert height[mask].mean() > 2.5 > height[~mask].mean()


def test_mistakes_say_what_there_is() -> None:
    with pytest.raises(ConfigError, match="cover15"):
        simulate_classes(load_sensor("rosis"), 1, 32, legend="cover99")
    with pytest.raises(ConfigError, match="polsar"):
        simulate_classes(load_sensor("rosis"), 1, 32, modalities=("radar",))
    with pytest.raises(ConfigError, match="impervious"):
        simulate_extraction(1, 32, target="bridges")
    with pytest.raises(ConfigError, match="vehicle"):
        group_of(["lawns"])
