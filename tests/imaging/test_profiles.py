"""Max-tree filters against definitions written out with scipy, profiles and patterns against small cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fusionbench.errors import ConfigError
from fusionbench.imaging.max_tree import MaxTree
from fusionbench.imaging.profiles import area_profile, binary_patterns, components, derive, extinction_profile

CROSS = ndimage.generate_binary_structure(2, 1)


def image(seed: int = 0, levels: int = 12) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((23, 31)), 1.2)
    return np.round((smooth - smooth.min()) / np.ptp(smooth) * levels).astype(np.int64)


def opened(values: np.ndarray, threshold: int) -> np.ndarray:
    """Area opening by thresholds, level by level."""
    found = np.full_like(values, values.min())
    for level in np.unique(values):
        parts, _ = ndimage.label(values >= level, CROSS)
        sizes = np.bincount(parts.ravel())
        large = (sizes >= threshold) & (np.arange(len(sizes)) > 0)
        found = np.where(large[parts], level, found)
    return found


def test_area_opening_is_that_of_its_definition() -> None:
    values = image()
    tree = MaxTree(values)
    assert np.array_equal(tree.kept(np.ones(len(tree.level), bool)), values)
    for threshold in (2, 9, 40, 300):
        assert np.array_equal(tree.kept(tree.attribute("area") >= threshold), opened(values, threshold))


def test_attributes_by_hand() -> None:
    values = np.array([[0, 0, 0, 0, 0], [0, 3, 5, 0, 2], [0, 3, 3, 0, 2], [0, 0, 0, 0, 0]])
    tree = MaxTree(values)
    top, block, other = tree.node[1, 2], tree.node[1, 1], tree.node[1, 4]
    area = tree.attribute("area")
    assert (area[top], area[block], area[other], area[0]) == (1, 4, 2, 20)
    assert tree.attribute("height")[[top, block, other, 0]].tolist() == [0, 2, 0, 5]
    assert tree.attribute("volume")[[block, 0]].tolist() == [2, 18]
    assert tree.attribute("diagonal")[[other, block]].tolist() == pytest.approx([np.hypot(2, 1), np.hypot(2, 2)])
    ends = tree.extinction(tree.attribute("height"))
    assert ends[top] == 5  # the highest maximum lives to the end
    assert ends[other] == 0 or tree.attribute("height")[other] == 0
    ends = tree.extinction(area)
    assert sorted(ends[ends > 0].tolist()) == [2, 20]
    assert np.array_equal(tree.strongest(ends, 1), np.where(values == 2, 0, values))
    with pytest.raises(ConfigError, match="area, height"):
        tree.attribute("colour")


def test_profiles_bracket_the_image() -> None:
    values = image(3).astype(float)
    profile = area_profile(values, levels=4)
    assert profile.shape == (9, 23, 31)
    assert (np.diff(profile[:4], axis=0) <= 0).all()  # openings fall with growing thresholds
    assert (np.diff(profile[4:8], axis=0) >= 0).all()
    assert (profile[:4] <= profile[8]).all()
    assert (profile[4:8] >= profile[8]).all()
    extinct = extinction_profile(values, levels=2)
    assert extinct.shape == (25, 23, 31)
    assert (extinct[:2] >= extinct[2]).all()
    assert (extinct[3:5] <= extinct[2]).all()


def test_patterns_sum_to_one_and_know_flat_ground() -> None:
    shares = binary_patterns(image(1).astype(float), window=5)
    assert shares.shape == (59, 23, 31)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)
    flat = binary_patterns(np.ones((9, 9)), window=3)
    assert (flat[57] == 1).all()  # every neighbour is as bright: all bits set, the last uniform pattern


def test_derived_roles_have_the_published_numbers_of_bands() -> None:
    rng = np.random.default_rng(0)
    arrays = {"hs": rng.random((12, 14, 15)), "aux": rng.random((1, 14, 15))}
    assert derive(arrays, {"kind": "area_profile", "role": "aux", "levels": 10}).shape[0] == 21
    both = {"kind": "profiles_and_patterns"}
    assert derive(arrays, {**both, "role": "hs", "components": 3, "pattern_bands": 10}).shape[0] == 815
    assert derive(arrays, {**both, "role": "aux", "components": 1, "pattern_bands": 1}).shape[0] == 134
    with pytest.raises(ConfigError, match="area_profile"):
        derive(arrays, {"kind": "wavelet", "role": "hs"})


def test_components_are_those_of_the_covariance() -> None:
    raster = np.random.default_rng(2).random((5, 8, 9)) * np.arange(1, 6)[:, None, None]
    found = components(raster, 2)
    flat = raster.reshape(5, -1)
    values, vectors = np.linalg.eigh(np.cov(flat))
    expected = vectors[:, ::-1][:, :2].T @ (flat - flat.mean(1, keepdims=True))
    np.testing.assert_allclose(np.abs(found.reshape(2, -1)), np.abs(expected), atol=1e-8)
    assert values[-1] == pytest.approx(found[0].var(ddof=1))
