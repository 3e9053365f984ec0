"""The data module of pixel-wise classification: co-registered rasters, labelled pixels, windows around them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from torch.utils.data import Dataset

from fusionbench.data import cache, regions
from fusionbench.data.base import SceneDataModule
from fusionbench.data.locate import SIMULATED
from fusionbench.data.parts import SIMULATION_CODE, Job
from fusionbench.data.readers.rasters import as_labels, as_raster, named, read_array
from fusionbench.data.regions import PixelSplit, PixelSplitSettings, split_pixels
from fusionbench.data.windows import LabelledScenes, PixelWindows, Scale, ScenePart
from fusionbench.errors import ConfigError, DataError

SCALINGS = ("none", "min_max", "band", "global")
OVERS = {"clean": "training", "published": "scene"}
MAPS = ("labelled", "all")
CODE = ("fusionbench.data.classification", "fusionbench.data.readers.rasters", "fusionbench.imaging.profiles")


@dataclass(frozen=True)
class WriteScene:
    """Reads the scene of a data set from its files into the cache."""

    root: Path
    entry: Mapping[str, Any]
    channels: Mapping[str, int]
    roles: tuple[str, ...]
    classes: int
    size: tuple[int, int] | None
    derived: Mapping[str, Mapping[str, Any]]

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``<role>`` [B,H,W] float32 and ``labels`` or ``train`` and ``test`` [H,W] int16; return facts."""
        arrays = {role: self._raster(role) for role in self.roles}
        maps = {key: self._labels(key) for key in ("labels", "train", "test") if key in self.entry["arrays"]}
        sizes = {key: value.shape[-2:] for key, value in (*arrays.items(), *maps.items())}
        if len(set(sizes.values())) > 1:
            shown = ", ".join(f"{key} {rows} x {columns}" for key, (rows, columns) in sizes.items())
            raise DataError(f"{self.root}: rasters and label maps must be of one size (rows x columns): {shown}")
        _save(folder, arrays | maps, self.derived)
        return {"size": list(next(iter(sizes.values())))}

    def _sources(self, key: str) -> list[str]:
        source = self.entry["arrays"].get(key)
        if source is None:
            raise DataError(f"card.collections: this layout does not say where {key} lies (arrays.{key})")
        return [source] if isinstance(source, str) else list(source)

    def _raster(self, role: str) -> np.ndarray:
        sources = self._sources(role)
        bands = self.channels.get(role) if len(sources) == 1 else None  # None: replaced by components
        found = []
        for source in sources:
            path, key = named(self.root, source)
            where = f"{path}:{key}" if key else str(path)
            values = read_array(path, key)
            if self.entry.get("pixels"):
                values = values[:, None, :]  # one pixel a row
            found.append(as_raster(values, bands, self.size, where))
        stack = np.concatenate(found)
        if len(stack) != self.channels.get(role, len(stack)):
            raise DataError(f"{self.root}: {role} has {len(stack)} bands, the data set has {self.channels[role]}")
        missing = int((~np.isfinite(stack)).sum())
        if missing:
            raise DataError(f"{self.root}: {role} holds {missing} values that are not finite")
        return stack

    def _labels(self, key: str) -> np.ndarray:
        path, name = named(self.root, self._sources(key)[0])
        values = read_array(path, name)
        if self.entry.get("pixels"):
            values = values.reshape(-1, 1)
        where = f"{path}:{name}" if name else str(path)
        return as_labels(values, self.classes, self.size, where, self.entry.get("palette"))


@dataclass(frozen=True)
class WriteSimulated:
    """Simulates the scene of a seed as the data set's sensors see it."""

    settings: Mapping[str, Any]
    seed: int
    roles: tuple[str, ...]
    derived: Mapping[str, Mapping[str, Any]]

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``<role>`` and ``labels``; return facts."""
        from fusionbench.data.simulated_pixels import simulated_scene

        arrays = simulated_scene(self.settings, self.seed, self.roles)
        _save(folder, arrays, self.derived)
        return {"size": list(arrays["labels"].shape)}


def _save(folder: Path, arrays: Mapping[str, np.ndarray], derived: Mapping[str, Mapping[str, Any]]) -> None:
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    if derived:
        from fusionbench.imaging.profiles import derive

        for name, settings in derived.items():
            np.save(folder / f"{name}.npy", derive(arrays, settings))


class PixelDataModule(SceneDataModule[Mapping[str, Any]]):
    """Labelled pixels of one scene in files, or of simulated scenes.

    Training batches hold windows under roles [N,B,p,p] and ``target`` [N]; validation and test batches one scene:
    rasters [1,B,H,W], ``target`` [1,H,W] (-1: none), ``asked`` [1,1,H,W], and how windows are cut from them.

    Args:
        name: the data set's id.
        roles: of the card.
        derived: further role -> how it is computed from them (`fusionbench.imaging.profiles`), where it is asked for:
            ``derive`` names it, or ``bind``, a method's roles, does.
        channels: bands of every role.
        classes: names of the classes, in the order of their labels.
        source, collection, entry, root: see `fusionbench.data.locate`.
        size: rows and columns where they are known; an array on its side is turned.
        window: side p of the windows; padding, augment, noise: see `PixelWindows`.
        scaling: ``min_max`` (0 to 1 per band), ``band`` (mean 0, deviation 1 per band), ``global`` (the same with one
            mean and deviation per role) or ``none``.
        reduce: role -> number of principal components that replace its bands; whiten: at unit variance.
        protocol: ``clean``: scaling and components from training pixels; ``published``: from every pixel of the scene,
            test pixels included (transductive).
        everywhere: ``labelled`` or ``all``: which pixels of a test scene are classified.
        split: see `PixelSplitSettings`.
        simulation: ``size`` px, seeds ``train``, ``val``, ``test``, ``samples``: labelled pixels of each class in a
            training or validation scene, and what `simulated_scene` takes.
        batch_size, workers, seed, cache, run_dir: see `SceneDataModule`.

    Attributes:
        train_on: subset that training batches are drawn from; a stage of a method may ask for ``val``.

    Raises:
        ConfigError: a setting that is wrong or does not fit another.
    """

    def __init__(
        self,
        *,
        name: str,
        roles: Sequence[str],
        channels: Mapping[str, int],
        classes: Sequence[str],
        source: str,
        collection: str,
        entry: Mapping[str, Any] | None,
        root: str | None,
        cache: str,
        derived: Mapping[str, Mapping[str, Any]] | None = None,
        derive: Sequence[str] = (),
        bind: Mapping[str, str] | None = None,
        size: Sequence[int] | None = None,
        window: int = 1,
        padding: str = "symmetric",
        augment: str = "none",
        noise: Mapping[str, float] | None = None,
        scaling: str = "min_max",
        reduce: Mapping[str, int] | None = None,
        whiten: bool = False,
        protocol: str = "clean",
        everywhere: str = "labelled",
        split: Mapping[str, Any] | None = None,
        simulation: Mapping[str, Any] | None = None,
        batch_size: int = 64,
        workers: int = 0,
        seed: int = 0,
        run_dir: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            cache=Path(cache).expanduser() / "classification",
            batch_size=batch_size,
            seed=seed,
            workers=workers,
            run_dir=run_dir,
            what=f"simulating {name}" if source == SIMULATED else f"reading {name}",
            parallel=source == SIMULATED,
        )
        if scaling not in SCALINGS or protocol not in OVERS or everywhere not in MAPS:
            raise ConfigError(
                f"data.scaling={scaling}, data.protocol={protocol}, data.map={everywhere}: scaling one of "
                f"{', '.join(SCALINGS)}; protocol {' or '.join(OVERS)}; map {' or '.join(MAPS)}"
            )
        known = {k: dict(v) for k, v in (derived or {}).items()}
        unknown = [role for role in derive if role not in known]
        if unknown:
            raise ConfigError(f"data.derive={list(derive)}: {unknown[0]} is none of {', '.join(known)} (data.derived)")
        asked = {*derive, *(bind or {}).values()}
        self.roles, self.derived = tuple(roles), {role: how for role, how in known.items() if role in asked}
        self.channels, self.classes = {k: int(v) for k, v in channels.items()}, list(classes)
        self.simulated, self.collection, self.entry = source == SIMULATED, collection, dict(entry or {})
        self.root, self.size = root, None if size is None else (int(size[0]), int(size[1]))
        self.window, self.padding, self.augmented, self.noise = window, padding, augment, dict(noise or {})
        self.scaling, self.reduce, self.whiten = scaling, dict(reduce or {}), whiten
        self.protocol, self.everywhere = protocol, everywhere
        self.settings = PixelSplitSettings(**(split or {}))
        self.simulation = dict(simulation or {})
        self.train_on = "train"
        if self.simulated:
            from fusionbench.simulation import LEGENDS

            self.check_seeds(self.simulation)
            legend = str(self.simulation.get("legend"))
            if len(LEGENDS.get(legend, ())) != len(self.classes):
                names = ", ".join(f"{key} ({len(value)})" for key, value in LEGENDS.items())
                raise ConfigError(
                    f"data.simulation.legend={legend}: the data set has {len(self.classes)} classes; legends: {names}"
                )
            self.classes = list(LEGENDS[legend])
        elif self.entry.get("pixels") and (window != 1 or self.settings.by in ("disjoint", "published")):
            raise ConfigError(
                f"data={name} holds pixels without positions: data.window=1 (is {window}), data.split.by=runs or leaky "
                f"(is {self.settings.by})"
            )
        self._splits: dict[str, PixelSplit] = {}
        self._scales: dict[str, dict[str, Scale]] = {}
        self._trained: dict[str, Scale] | None = None

    # --- parts ---

    def jobs(self, subset: str) -> Sequence[tuple[Job, Mapping[str, Any]]]:
        """See `SceneDataModule.jobs`; the one scene in files belongs to every subset."""
        if not self.simulated:
            return [(self._file_job(), {})]
        jobs: list[tuple[Job, Mapping[str, Any]]] = []
        for seed in self.simulation.get(subset) or ():
            settings = {k: v for k, v in self.simulation.items() if k not in ("train", "val", "test", "samples")}
            settings |= {"channels": {role: self.channels[role] for role in self.roles}}
            write = WriteSimulated(settings, int(seed), self.roles, self.derived)
            code = cache.code_digest((*CODE, "fusionbench.data.simulated_pixels", *SIMULATION_CODE))
            jobs.append((Job(f"{self.name}-{seed}", cache.digest(asdict(write) | {"code": code}), write), {}))
        return jobs

    def _file_job(self) -> Job:
        if self.root is None:
            raise ConfigError("data.root is missing: fusionbench.data.resolve_source finds it")
        channels = {role: self.channels[role] for role in self.roles if role not in self.reduce}
        write = WriteScene(
            Path(self.root), self.entry, channels, self.roles, len(self.classes), self.size, self.derived
        )
        files = {
            source: cache.file_digest(named(Path(self.root), source)[0])
            for key in self.entry["arrays"]
            for source in write._sources(key)
        }
        known = asdict(write) | {"root": "", "files": files, "code": cache.code_digest(CODE)}
        return Job(str(self.name), cache.digest(known), write)

    @property
    def fingerprint(self) -> str:
        """See `SceneDataModule.fingerprint`."""
        keys = [job.key for subset in ("train", "val", "test") for job, _ in self.jobs(subset)]
        rest = [self.window, self.padding, self.augmented, self.noise, self.scaling, self.reduce, self.whiten]
        return cache.digest(
            {
                "parts": keys,
                "windows": [*rest, self.protocol, self.everywhere],
                "split": asdict(self.settings) | {"seed": self.seed, "samples": self.simulation.get("samples")},
                "code": cache.code_digest(("fusionbench.data.windows", "fusionbench.data.regions")),
            }
        )

    # --- labels ---

    def split(self, part: ScenePart) -> PixelSplit:
        """Which labelled pixels of a scene in files train, validate and test."""
        if part.name not in self._splits:
            have = {
                key: np.asarray(part.entry.array(key)) for key in ("labels", "train", "test") if part.entry.has(key)
            }
            masks = (have["train"], have["test"]) if "train" in have and "test" in have else None
            settings = self.settings
            if self.entry.get("pixels") and settings.by == "auto":
                settings = PixelSplitSettings(**(asdict(settings) | {"by": "runs"}))
            self._splits[part.name] = split_pixels(have.get("labels"), masks, self.window, settings, self.seed)
        return self._splits[part.name]

    def labels(self, subset: str) -> list[np.ndarray]:
        """Class indices [H,W] of each scene's pixels that count in a subset, -1 elsewhere."""
        if not self.simulated:
            return [getattr(self.split(part), subset) for part in self.parts(subset)]
        maps = [np.asarray(part.entry.array("labels")) for part in self.parts(subset)]
        if subset == "test":
            return maps
        samples = int(self.simulation.get("samples", 50))
        return [_sampled(labels, samples, [self.seed, i, len(subset)]) for i, labels in enumerate(maps)]

    def counts(self, subset: str) -> list[int]:
        """Labelled pixels of each class in a subset."""
        each = [regions.counts(labels, len(self.classes)) for labels in self.labels(subset)]
        return np.sum(each, axis=0).tolist() if each else [0] * len(self.classes)

    # --- scaling ---

    def scales(self, part: ScenePart) -> dict[str, Scale]:
        """How each role of a scene is scaled."""
        if OVERS[self.protocol] == "training":
            if self._trained is None:
                raw = PixelWindows(self.parts("train"), self.labels("train"), self._raw(self.parts("train")), 1)
                values, _ = raw.centres()
                self._trained = {role: self._scale(role, x.T) for role, x in values.items()}
            return self._trained
        if part.entry.content not in self._scales:
            self._scales[part.entry.content] = {
                role: self._scale(role, np.asarray(part.entry.array(role)).reshape(part.entry.array(role).shape[0], -1))
                for role in (*self.roles, *self.derived)
            }
        return self._scales[part.entry.content]

    def _raw(self, parts: Sequence[ScenePart]) -> list[dict[str, Scale]]:
        def same(part: ScenePart, role: str) -> Scale:
            bands = part.entry.array(role).shape[0]
            return Scale(np.zeros(bands, np.float32), np.ones(bands, np.float32))

        return [{role: same(part, role) for role in (*self.roles, *self.derived)} for part in parts]

    def _scale(self, role: str, values: np.ndarray) -> Scale:
        """From pixels [B,n]."""
        x = values.astype(np.float64)
        if self.scaling == "min_max":
            offset, scale = x.min(1), np.ptp(x, axis=1)
        elif self.scaling == "band":
            offset, scale = x.mean(1), x.std(1)
        elif self.scaling == "global":
            offset = np.full(len(x), x.mean())
            scale = np.full(len(x), max(x.std(), 1 / np.sqrt(x.size)))
        else:
            offset, scale = np.zeros(len(x)), np.ones(len(x))
        scale[scale == 0] = 1
        found = Scale(offset.astype(np.float32), scale.astype(np.float32))
        if role not in self.reduce:
            return found
        components = int(self.reduce[role])
        if components != self.channels[role]:
            raise ConfigError(
                f"data.reduce.{role}={components}, data.channels.{role}={self.channels[role]}: must agree"
            )
        fitted = PCA(components, svd_solver="full").fit(((x - offset[:, None]) / scale[:, None]).T)
        spread = np.sqrt(fitted.explained_variance_) if self.whiten else np.ones(components)
        return Scale(
            (offset + scale * fitted.mean_).astype(np.float32),
            scale.astype(np.float32),
            fitted.components_.astype(np.float32),
            spread.astype(np.float32),
        )

    # --- samples ---

    def _windows(self, subset: str, augment: str = "none") -> PixelWindows:
        parts = self.parts(subset)
        scales = [self.scales(part) for part in parts]
        return PixelWindows(parts, self.labels(subset), scales, self.window, self.padding, augment, self.noise)

    def train_dataset(self) -> PixelWindows:
        """Windows around the pixels of ``train_on``."""
        return self._windows(self.train_on, self.augmented)

    def training_pixels(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Training pixels themselves: role -> [n,B], and their classes [n]."""
        return self._windows("train").centres()

    def val_dataset(self) -> LabelledScenes | None:
        """Scenes with the validation pixels labelled; None where there are none."""
        scenes = self._scenes("val", everywhere=False)
        return scenes if any((labels >= 0).any() for labels in scenes.labels) else None

    def test_dataset(self, name: str) -> Dataset:
        """Scenes with the test pixels labelled."""
        return self._scenes("test", everywhere=self.everywhere == "all")

    def _scenes(self, subset: str, everywhere: bool) -> LabelledScenes:
        parts = self.parts(subset)
        facts = {"window": self.window, "padding": self.padding, "scaling": self.scaling}
        return LabelledScenes(parts, self.labels(subset), [self.scales(p) for p in parts], everywhere, facts)

    # --- checks and record ---

    def check_fit(self) -> None:
        """See `SceneDataModule.check_fit`."""
        if self.simulated:
            return
        for part in self.parts("train"):
            split = self.split(part)
            wrong = regions.check_disjoint(split, self.window) if split.by == "disjoint" else []
            if wrong:
                raise DataError(f"data={self.name}, split.by=disjoint: {'; '.join(wrong)}")

    def notes(self) -> list[str]:
        """What a reader of the scores must know of the split and the scaling."""
        found = []
        if self.protocol == "published" and self.scaling != "none":
            found.append("scaling from every pixel of the scene, test pixels included (transductive, as published)")
        for part in [] if self.simulated else self.parts("test"):
            split = self.split(part)
            found += split.notes
            if split.dropped:
                names = ", ".join(self.classes[label] for label in split.dropped)
                found.append(f"dropped, with a region on one side only: {names}")
            if split.by == "published":
                found += [f"published split: {text}" for text in regions.check_disjoint(split, self.window)]
        return found

    def told(self) -> None:
        """See `SceneDataModule.told`."""
        if self.run_dir is None:
            return
        text = json.dumps(self.summary(), indent=1) + "\n"
        (self.run_dir / "data.json").write_text(text, encoding="utf-8")
        for part in [] if self.simulated else self.parts("test"):
            split = self.split(part)
            maps = {subset: getattr(split, subset) for subset in ("train", "val", "test")}
            np.savez_compressed(self.run_dir / "split.npz", **maps)

    def summary(self) -> dict[str, Any]:
        """See `SceneDataModule.summary`."""
        scenes = {
            subset: {p.name: list(p.entry.array(self.roles[0]).shape[1:]) for p in self.parts(subset)}
            for subset in ("train", "val", "test")
        }
        return {
            "data": self.name,
            "source": SIMULATED if self.simulated else self.collection,
            "scenes": scenes,
            "roles": {role: self.channels[role] for role in (*self.roles, *self.derived)},
            "classes": self.classes,
            "pixels": {subset: self.counts(subset) for subset in ("train", "val", "test")},
            "window": self.window,
            "scaling": f"{self.scaling}, {OVERS[self.protocol]}",
            "notes": self.notes(),
        }


def _sampled(labels: np.ndarray, samples: int, seed: Sequence[int]) -> np.ndarray:
    """At most so many pixels of each class."""
    rng = np.random.default_rng(list(seed))
    kept = np.full(labels.size, -1, labels.dtype)
    for label in np.unique(labels[labels >= 0]):
        places = rng.permutation(np.flatnonzero(labels.ravel() == label))[:samples]
        kept[places] = label
    return kept.reshape(labels.shape)
