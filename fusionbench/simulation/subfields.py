"""Is the simulated world a fair test for the other sub-fields? Their statistics beside the ranges asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from fusionbench.errors import ConfigError
from fusionbench.sensors import load_sensor
from fusionbench.simulation.check import SEEDS, Finding
from fusionbench.simulation.classes import simulate_classes
from fusionbench.simulation.clouds import simulate_cloudy
from fusionbench.simulation.hs_pair import MODES, simulate_hs_pair
from fusionbench.simulation.human import FUNCTIONS, simulate_zones
from fusionbench.simulation.labels import abundances
from fusionbench.simulation.materials import CLASSES, categories, library
from fusionbench.simulation.radar import simulate_sar
from fusionbench.simulation.spectral import hs_bands, observe_bands, scene_for

Row = dict[str, float]
Score = Callable[[Mapping[str, Any]], Row]
TRAINING = (113, 114, 117, 118, 121, 122, 125, 126)  # scenes with every class of cover, without the landscape "wild"
WORDS = 128  # small patterns that images are described by
PRESENT = 5e-4  # of the area: materials that cover less are no end-members of a scene
TREES, SAMPLES = 100, 150  # of a random forest; labelled pixels of a class and scene
WHOLE_RANGE = hs_bands(420, 2400, 150)
VISIBLE = hs_bands(400, 1000, 60)

# sub-field -> statistic -> lowest and highest value of its mean over scenes
RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "hs": {
        "snr_lowest": (50, 300), "snr_highest": (50, 300), "psf_off": (0.0, 0.1), "srf_off": (0.001, 0.2),
        "one_end_member_residual": (0.05, 0.20), "ten_components": (0.999, 1.0), "end_members_never_pure": (0.5, 1.0),
        "guide_shift": (0.24, 0.26), "guide_gain_off": (0.02, 0.05), "guide only / CNMF": (1.5, 20.0),
    },
    "classification": {
        "HS": (0.70, 0.90), "LiDAR": (0.35, 0.65), "LiDAR adds to HS": (0.03, 0.12), "SAR adds to MS": (0.01, 0.06),
        "vertical_sd": (0.05, 0.15), "horizontal_shift": (0.25, 0.5), "voids": (0.01, 0.03),
    },
    "sar": {
        "R2_lowest": (0.10, 0.45), "R2_highest": (0.10, 0.45), "incidence": (35, 40), "looks": (4, 5), "days": (1, 12),
        "VV_less_VH": (4.0, 10.0),
    },
    "clouds": {
        "cover_lowest": (0.2, 0.6), "cover_highest": (0.2, 0.6), "thin_transmittance_blue": (0.3, 0.9),
        "thin_transmittance_swir": (0.3, 0.95), "clear_MAE": (0.005, 0.015), "days": (0, 10),
    },
    "urban": {
        "image": (0.60, 0.80), "series": (0.60, 0.80), "image adds to series": (0.03, 0.12),
        "blocks_without_points": (0.2, 0.7), "points_off": (10, 30), "points_of_wrong_type": (0.05, 0.15),
        "mixed_blocks": (0.1, 0.5),
    },
}  # fmt: skip


def run(subfield: str, seeds: Sequence[int] = SEEDS, size: int = 128, score: Score | None = None) -> list[Finding]:
    """Simulate a sub-field's test scenes, measure them, and hold each mean against its range.

    Args:
        subfield: key of CHECKS.
        seeds: one scene each.
        size: px.
        score: gives further numbers of a HS pair, such as what fusion without training reaches.

    Returns:
        one finding per statistic.

    Raises:
        ConfigError: an unknown sub-field.
    """
    if subfield not in CHECKS:
        raise ConfigError(f"no check of {subfield!r}; there are {', '.join(CHECKS)}")
    found = CHECKS[subfield](seeds, size, score)
    return [Finding(name, value, None, RANGES[subfield].get(name)) for name, value in found.items()]


def _means(rows: Sequence[Row]) -> Row:
    return {
        name: float(np.mean([row[name] for row in rows if name in row]))
        for name in dict.fromkeys(n for r in rows for n in r)
    }


def _hs(seeds: Sequence[int], size: int, score: Score | None) -> Row:
    """Spectra, instruments, and how far the guide alone gets."""
    rows = []
    for seed in seeds:
        guide = load_sensor("landsat8_oli")
        one, pair = (simulate_hs_pair(WHOLE_RANGE, seed, size, 4, guide, mode, gsd=2.5) for mode in MODES)
        meta, target = pair["meta"], pair["target"].reshape(len(WHOLE_RANGE), -1).astype(np.float64)
        held = abundances(scene_for(seed, size // 4, 10.0, 8), 10.0, size // 4, [(m.name,) for m in library()])
        held = held[held.mean((1, 2)) > PRESENT]
        rows.append({
            "snr_lowest": min(meta["snr"]), "snr_highest": max(meta["snr"]),
            "psf_off": max(abs(width / meta["psf_fwhm_nominal"] - 1) for width in meta["psf_fwhm"]),
            "srf_off": float(np.abs(pair["srf"] - pair["srf_nominal"]).sum(1).mean() / 2),
            "one_end_member_residual": _residual(seed, size), "ten_components": _explained(target, 10),
            "end_members_never_pure": float((held.max((1, 2)) <= 0.95).mean()),
            "guide_shift": float(np.hypot(*meta["shift"])) / meta["ratio"],
            "guide_gain_off": float(np.abs(np.array(meta["gain"]) - 1).mean()),
            **(score(one) if score is not None else {}),
            **({f"two sensors: {name}": value for name, value in score(pair).items()} if score is not None else {}),
        })  # fmt: skip
    return _means(rows)


def _explained(spectra: np.ndarray, count: int) -> float:
    """Share of the variance of [B, n] spectra in their first principal components."""
    centred = spectra - spectra.mean(1, keepdims=True)
    values = np.linalg.eigvalsh(centred @ centred.T)[::-1]
    return float(values[:count].sum() / values.sum())


def _residual(seed: int, size: int) -> float:
    """What one end-member per class leaves of pure sunlit spectra, scaled as suits each pixel best."""
    scene = scene_for(seed, size, 2.5, 1)
    image = observe_bands(scene, WHOLE_RANGE, 2.5, size).reshape(len(WHOLE_RANGE), -1)
    kinds = categories()[scene.first][:size, :size].ravel()
    pure = ((scene.mix < 0.15) & (scene.shadow < 0.1))[:size, :size].ravel()
    left = total = 0.0
    for kind in np.unique(kinds[pure]):
        spectra = image[:, pure & (kinds == kind)].astype(np.float64)
        end = spectra.mean(1, keepdims=True)
        scaled = end * ((end * spectra).sum(0) / (end**2).sum())
        left += float(((spectra - scaled) ** 2).sum())
        total += float((spectra**2).sum())
    return (left / total) ** 0.5


def _classification(seeds: Sequence[int], size: int, score: Score | None) -> Row:
    """Overall accuracies of pixel-wise random forests that learnt on other scenes."""

    def aerial(seed: int) -> dict[str, Any]:
        made = simulate_classes(VISIBLE, seed, size, modalities=("lidar",), gsd=2.5)
        made["lidar"][0] -= np.median(made["lidar"][0])  # how high a place lies above the sea says nothing elsewhere
        return made

    def spaceborne(seed: int) -> dict[str, Any]:
        return simulate_classes(VISIBLE[:4], seed, size, "cover11", ("ms", "polsar"), gsd=10.0)

    fine, coarse = (
        ([make(seed) for seed in TRAINING], [make(seed) for seed in seeds]) for make in (aerial, spaceborne)
    )
    hs, lidar, ms = _accuracy(fine, "hs"), _accuracy(fine, "lidar"), _accuracy(coarse, "ms")
    told = [one["meta"] for one in fine[1]]
    return {
        "HS": hs, "LiDAR": lidar, "LiDAR adds to HS": _accuracy(fine, "hs", "lidar") - hs, "MS": ms,
        "SAR adds to MS": _accuracy(coarse, "ms", "polsar") - ms,
        "vertical_sd": float(np.mean([one["lidar_vertical_sd"] for one in told])),
        "horizontal_shift": float(np.mean([np.hypot(*one["lidar_shift"]) for one in told])),
        "voids": float(np.mean([one["lidar_voids"] for one in told])),
    }  # fmt: skip


def _accuracy(scenes: tuple[list[dict[str, Any]], list[dict[str, Any]]], *names: str) -> float:
    """Mean overall accuracy on the second scenes of a forest that learnt SAMPLES pixels a class of each first one."""
    from sklearn.ensemble import RandomForestClassifier

    def features(one: Mapping[str, Any], places: np.ndarray) -> np.ndarray:
        return np.concatenate([one[name].reshape(len(one[name]), -1)[:, places].T for name in names], 1)

    rng = np.random.default_rng(0)
    seen, answers = [], []
    for one in scenes[0]:
        labels = one["labels"].ravel()
        kinds = np.unique(labels[labels >= 0])
        places = np.concatenate([rng.permutation(np.flatnonzero(labels == kind))[:SAMPLES] for kind in kinds])
        seen.append(features(one, places))
        answers.append(labels[places])
    forest = RandomForestClassifier(TREES, random_state=0).fit(np.concatenate(seen), np.concatenate(answers))
    scores = []
    for one in scenes[1]:
        places = np.flatnonzero(one["labels"].ravel() >= 0)
        scores.append(float((forest.predict(features(one, places)) == one["labels"].ravel()[places]).mean()))
    return float(np.mean(scores))


def _sar(seeds: Sequence[int], size: int, score: Score | None) -> Row:
    """How well radar alone predicts an optical image of land."""
    from sklearn.ensemble import RandomForestRegressor

    rows = []
    bands = [band for band in load_sensor("sentinel2").bands if band.name != "cirrus"]
    for seed in seeds:
        scene = scene_for(seed, size, 10.0)
        radar = simulate_sar(scene, 10.0, size)
        power = 10 ** (radar["sar"].astype(np.float64) / 10)
        smooth = 10 * np.log10(np.stack([ndimage.uniform_filter(one, 5) for one in power]))
        around = [np.roll(smooth, (dy, dx), (1, 2)) for dy in (-3, 0, 3) for dx in (-3, 0, 3)]
        features = np.concatenate(around).reshape(18, -1).T
        image = observe_bands(scene, bands, 10.0, size).reshape(len(bands), -1)
        land = (categories()[scene.first[::2, ::2]] != CLASSES.index("water"))[:size, :size].ravel()
        column = np.tile(np.arange(size), size) // max(size // 8, 1)
        learn, test = land & (column % 2 == 0), land & (column % 2 == 1)
        forest = RandomForestRegressor(60, random_state=0, min_samples_leaf=5, max_samples=min(4000, int(learn.sum())))
        forest.fit(features[learn], image[:, learn].T)
        predicted = forest.predict(features[test]).T
        wanted = image[:, test]
        scores = 1 - ((predicted - wanted) ** 2).sum(1) / ((wanted - wanted.mean(1, keepdims=True)) ** 2).sum(1)
        meta = radar["meta"]
        rows.append({
            "R2_lowest": float(scores.min()), "R2_highest": float(scores.max()), "incidence": meta["incidence"],
            "looks": meta["looks"], "days": meta["days"],
            "VV_less_VH": float((radar["sar"][0] - radar["sar"][1]).mean()),
        })  # fmt: skip
    return _means(rows)


def _clouds(seeds: Sequence[int], size: int, score: Score | None) -> Row:
    """Cover, thin clouds, and how far two clear dates lie apart."""
    rows = []
    for seed in seeds:
        made = simulate_cloudy(seed, size)
        depth = made["thickness"][0]
        thin = (depth > 0.105) & (depth < 1.2)
        rows.append({
            "cover": made["meta"]["cover"], "thick": made["meta"]["thick"],
            "thin_transmittance_blue": float(np.exp(-1.05 * depth[thin]).mean()),
            "thin_transmittance_swir": float(np.exp(-0.47 * depth[thin]).mean()),
            "clear_MAE": float(np.abs(made["truth"] - made["clear"]).mean() / 1e4),
            "nearby_MAE": float(np.abs(made["nearby"] - made["clear"]).mean() / 1e4),
            "days": float(made["meta"]["days"]),
        })  # fmt: skip
    covers = [row["cover"] for row in rows]
    return {"cover_lowest": min(covers), "cover_highest": max(covers)} | _means(rows)


def _urban(seeds: Sequence[int], size: int, score: Score | None) -> Row:
    """Accuracies of random forests on series and on small patterns of images, learnt in other towns."""
    from sklearn.ensemble import RandomForestClassifier

    side = 6 * size
    training, tests = ([simulate_zones(seed, side) for seed in some] for some in (TRAINING, seeds))
    looks = {"image": _image_words(training, tests), "series": [_series_features(town) for town in (*training, *tests)]}
    answers, wanted = (np.concatenate([town["label"] for town in some]) for some in (training, tests))

    def accuracy(*names: str) -> float:
        features = np.concatenate([np.concatenate(looks[name]) for name in names], 1)
        forest = RandomForestClassifier(3 * TREES, random_state=0).fit(features[: len(answers)], answers)
        return float((forest.predict(features[len(answers) :]) == wanted).mean())

    series = accuracy("series")
    empty = np.concatenate([town["poi"].sum(1) == 0 for town in tests])
    mixed = np.concatenate([town["proportions"].max(1) < 1 for town in tests])
    rows = _means(
        [{key: float(value) for key, value in town["meta"].items() if key.startswith("points_")} for town in tests]
    )
    return {
        "image": accuracy("image"), "series": series, "image adds to series": accuracy("series", "image") - series,
        "blocks_without_points": float(empty.mean()), "mixed_blocks": float(mixed.mean()), **rows,
        "functions": float(len(FUNCTIONS)),
    }  # fmt: skip


def _series_features(town: Mapping[str, Any]) -> np.ndarray:
    total = town["activity"].sum(1, keepdims=True) + 1
    return np.concatenate([town["activity"] / total, np.log(total)], 1)


def _image_words(training: Sequence[Mapping[str, Any]], tests: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
    """How often each of WORDS small patterns, learnt in the training towns, occurs: one [n, WORDS] per town."""
    from sklearn.cluster import MiniBatchKMeans

    patterns = [_patterns(town) for town in (*training, *tests)]
    rng = np.random.default_rng(0)
    some = np.concatenate(
        [one.reshape(-1, one.shape[-1])[rng.integers(0, one[..., 0].size, 4000)] for one in patterns[: len(training)]]
    )
    words = MiniBatchKMeans(WORDS, random_state=0, n_init=1, batch_size=2048).fit(some)
    found = []
    for one in patterns:
        which = words.predict(one.reshape(-1, one.shape[-1])).reshape(one.shape[:2])
        found.append(np.stack([np.bincount(row, minlength=WORDS) for row in which]))
    return found


def _patterns(town: Mapping[str, Any]) -> np.ndarray:
    """[n, patches, 48] float32: 4 x 4 px every 3 px, colours standardised over the town."""
    image = np.log1p(town["image"])
    image = (image - image.mean((0, 2, 3), keepdims=True)) / image.std((0, 2, 3), keepdims=True)
    cut = np.lib.stride_tricks.sliding_window_view(image, (4, 4), axis=(2, 3))[:, :, ::3, ::3]
    return np.ascontiguousarray(cut.transpose(0, 2, 3, 1, 4, 5)).reshape(len(image), -1, 48)


CHECKS: Mapping[str, Callable[[Sequence[int], int, Score | None], Row]] = {
    "hs": _hs, "classification": _classification, "sar": _sar, "clouds": _clouds, "urban": _urban,
}  # fmt: skip
