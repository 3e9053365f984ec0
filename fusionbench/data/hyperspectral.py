"""The data module of hyperspectral fusion: cubes from files, or simulated scenes, with a finer guide of few bands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusionbench.data import cache
from fusionbench.data.base import SceneDataModule
from fusionbench.data.layouts import matching
from fusionbench.data.locate import SIMULATED
from fusionbench.data.parts import SIMULATION_CODE, Job
from fusionbench.data.readers.cube import read_cube
from fusionbench.data.roles import Role, RolePatches, RoleScenes
from fusionbench.errors import ConfigError, DataError
from fusionbench.sensors import Sensor
from fusionbench.simulation.hs_pair import degrade, gaussian, simulate_hs_pair, srf
from fusionbench.simulation.noise import stream
from fusionbench.simulation.spectral import FULL

KNOWLEDGE = ("true", "nominal")
SPLITS = ("quadrants", "scenes")
CODE = ("fusionbench.data.hyperspectral", "fusionbench.data.readers.cube", *SIMULATION_CODE)
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Observation:
    """How a pair is made of a cube, or of a simulated scene.

    Args:
        sensor, guide: records of the HS and of the guide's sensor; ``guide_pan``: the guide is that sensor's PAN band.
        ratio: fine px per coarse px.
        psf: full width at half maximum of the point spread, in fine px.
        snr, guide_snr: dB, per band, of the HS image and of the guide.
        mode: of the simulation, ``same_sensor`` or ``two_sensor``.
    """

    sensor: Mapping[str, Any]
    guide: Mapping[str, Any]
    guide_pan: bool
    ratio: int
    psf: float
    snr: float
    guide_snr: float
    mode: str

    @property
    def bands(self) -> tuple[Any, ...]:
        """HS bands."""
        return Sensor.from_mapping(dict(self.sensor)).bands

    @property
    def guides(self) -> tuple[Any, ...]:
        """Guide bands."""
        record = Sensor.from_mapping(dict(self.guide))
        return (record.panchromatic,) if self.guide_pan else record.bands


@dataclass(frozen=True)
class WriteCube:
    """Cuts a window of a cube, and degrades it."""

    path: Path
    entry: Mapping[str, Any]
    window: Window | None
    scale: float
    how: Observation
    key: str

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``target``, ``lr``, ``guide`` (values over ``scale``), ``srf``, ``psf``, ``wavelengths``."""
        bands = self.how.bands
        cube = read_cube(self.path, self.entry["variables"], len(bands), self.entry.get("pixels"))
        top, bottom, left, right = self.window or _whole(cube.shape[1:], self.how.ratio)
        target = np.ascontiguousarray(cube[:, top:bottom, left:right]) / np.float32(self.scale)
        if not np.isfinite(target).all():
            raise DataError(f"{self.path}: values are not finite in rows {top}-{bottom}, columns {left}-{right}")
        response, taps = srf(self.how.guides, bands), gaussian(self.how.psf, self.how.ratio)
        rng = stream(0, f"noise {self.key}")
        lr = degrade(target, taps, taps, self.how.ratio)
        guide = np.tensordot(response, target, axes=1)
        for name, image, snr in (("lr", lr, self.how.snr), ("guide", guide, self.how.guide_snr)):
            np.save(folder / f"{name}.npy", _with_noise(image, snr, rng))
        known = {"target": target, "srf": response, "psf": np.outer(taps, taps), "wavelengths": _centers(bands)}
        for name, values in known.items():
            np.save(folder / f"{name}.npy", np.asarray(values, np.float32))
        return {"window": [top, bottom, left, right]}


@dataclass(frozen=True)
class WriteSimulated:
    """Simulates the pair of a seed."""

    seed: int
    size: int
    how: Observation
    knowledge: str

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write the arrays of `WriteCube`; return what the simulation says of itself."""
        pair = simulate_hs_pair(
            self.how.bands, self.seed, self.size, self.how.ratio, self.how.guides, self.how.mode,
            gsd=float(self.how.sensor["gsd"]) / (self.how.ratio if self.how.mode == "two_sensor" else 1),
        )  # fmt: skip
        told = "" if self.knowledge == "true" else "_nominal"
        arrays = {name: pair[name] / np.float32(FULL) for name in ("lr", "guide", "target")}
        arrays |= {"srf": pair[f"srf{told}"], "psf": pair[f"psf{told}"], "wavelengths": pair["wavelengths"]}
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", np.asarray(values, np.float32))
        return {"simulated": pair["meta"]}


class HyperspectralDataModule(SceneDataModule[Mapping[str, Any]]):
    """HS cubes as reference, and what is fused made of them; or simulated pairs.

    Batches hold ``lr`` [N,B,h,w], ``guide`` [N,b,H,W], ``target`` [N,B,H,W] (file values over the data card's scale,
    simulated ones reflectance), ``srf`` [N,b,B] (rows sum to 1), ``psf`` [N,k,k] (fine px, sum 1), ``wavelengths``
    [N,B] nm. The split comes before the degradation, so that no degraded pixel depends on the other side.

    Args:
        name: the data set's id.
        channels: ``{lr: B, guide: b}``.
        ratio: fine px per coarse px.
        source, collection, root, entry: as settled; the entry names ``files`` (a pattern) and ``variables``.
        sensor, guide: records; ``guide_pan``: the guide is the PAN band of its sensor.
        scale: number that file values are divided by, from the card, never from the scene.
        degradation: ``psf`` (FWHM in fine px; null: the ratio), ``snr`` and ``guide_snr`` (dB), ``mode`` (simulation).
        knowledge: ``true`` or ``nominal``: which response and point spread simulated batches carry.
        split: ``by`` quadrants (one scene: ``fold`` tests, the next one validates, two train, ``guard`` px between
            them) or scenes (``val`` and ``test``: file stems, the rest trains).
        simulation: ``size`` in fine px, seeds ``train``, ``val``, ``test``.
        patch, patches_per_epoch, batch_size, workers, augment, seed, cache, run_dir: see `SceneDataModule`.

    Raises:
        ConfigError: a setting that is wrong or does not fit another.
    """

    def __init__(
        self,
        *,
        name: str,
        channels: Mapping[str, int],
        ratio: int,
        source: str,
        collection: str,
        root: str | None,
        entry: Mapping[str, Any] | None,
        sensor: Mapping[str, Any],
        guide: Mapping[str, Any],
        guide_pan: bool,
        scale: float,
        degradation: Mapping[str, Any],
        knowledge: str,
        split: Mapping[str, Any],
        simulation: Mapping[str, Any],
        cache: str,
        patch: int = 64,
        patches_per_epoch: int = 2000,
        batch_size: int = 8,
        workers: int = 0,
        augment: str = "none",
        seed: int = 0,
        run_dir: str | None = None,
    ) -> None:
        super().__init__(
            name=name, cache=Path(cache).expanduser() / "hyperspectral", batch_size=batch_size, seed=seed,
            workers=workers, run_dir=run_dir, augment=augment, parallel=source == SIMULATED,
            what=f"simulating {name}" if source == SIMULATED else f"degrading {name}",
        )  # fmt: skip
        if knowledge not in KNOWLEDGE:
            raise ConfigError(f"data.knowledge={knowledge}: one of {', '.join(KNOWLEDGE)}")
        if split.get("by") not in SPLITS:
            raise ConfigError(f"data.split.by={split.get('by')}: one of {', '.join(SPLITS)}")
        if patch % ratio:
            raise ConfigError(f"data.patch={patch}: a multiple of the ratio {ratio}, so that patches lie on both grids")
        self.simulated, self.collection, self.root = source == SIMULATED, collection, root
        self.entry, self.scale, self.ratio = dict(entry or {}), float(scale), ratio
        width = degradation.get("psf")
        self.how = Observation(
            dict(sensor), dict(guide), guide_pan, ratio, float(ratio if width is None else width),
            float(degradation["snr"]), float(degradation["guide_snr"]), str(degradation["mode"]),
        )  # fmt: skip
        for role, bands in (("lr", self.how.bands), ("guide", self.how.guides)):
            if len(bands) != int(channels[role]):
                raise ConfigError(f"data.channels.{role}={channels[role]}, but its sensor has {len(bands)} bands")
        self.knowledge, self.rule, self.simulation = knowledge, dict(split), dict(simulation)
        if self.simulated:
            self.check_seeds(self.simulation)
        self.patch, self.patches_per_epoch = patch, patches_per_epoch
        self.roles = {
            "lr": Role("lr", ratio), "guide": Role("guide"), "target": Role("target"),
            "srf": Role("srf", 0), "psf": Role("psf", 0), "wavelengths": Role("wavelengths", 0),
        }  # fmt: skip

    # --- parts ---

    def jobs(self, subset: str) -> Sequence[tuple[Job, Mapping[str, Any]]]:
        """See `SceneDataModule.jobs`."""
        facts = {"sensor": str(self.how.sensor["name"]), "ratio": self.ratio, "gsd": float(self.how.sensor["gsd"])}
        return [(job, facts) for job in (self._simulated(subset) if self.simulated else self._files(subset))]

    def _simulated(self, subset: str) -> list[Job]:
        found = []
        for seed in self.simulation.get(subset) or ():
            write = WriteSimulated(int(seed), int(self.simulation["size"]), self.how, self.knowledge)
            key = cache.digest({"hyperspectral": repr(write), "code": cache.code_digest(CODE)})
            found.append(Job(f"{self.name}-{seed}", key, write))
        return found

    def _files(self, subset: str) -> list[Job]:
        assert self.root is not None  # settled with the source
        paths = [path for pattern in self.entry["files"] for path in matching(Path(self.root), pattern)]
        if not paths:
            raise DataError(f"{self.root}: no file named {' or '.join(self.entry['files'])}")
        pieces = self._quadrants(paths[0], subset) if self.rule["by"] == "quadrants" else self._scenes(paths, subset)
        found = []
        for name, path, window in pieces:
            what = {"file": cache.file_digest(path), "window": window, "scale": self.scale, "how": repr(self.how)}
            key = cache.digest(what | {"entry": self.entry, "code": cache.code_digest(CODE)})
            found.append(Job(name, key, WriteCube(path, self.entry, window, self.scale, self.how, f"{name} {window}")))
        return found

    def _scenes(self, paths: Sequence[Path], subset: str) -> list[tuple[str, Path, Window | None]]:
        stems = {path.stem: path for path in paths}
        named = {key: [str(stem) for stem in self.rule.get(key) or ()] for key in ("val", "test")}
        unknown = [stem for key in named for stem in named[key] if stem not in stems]
        if unknown:
            raise DataError(f"data.split: there is no scene {unknown[0]} in {self.root}; there are {', '.join(stems)}")
        rest = [stem for stem in stems if stem not in (*named["val"], *named["test"])]
        return [(stem, stems[stem], None) for stem in (rest if subset == "train" else named[subset])]

    def _quadrants(self, path: Path, subset: str) -> list[tuple[str, Path, Window | None]]:
        cube = read_cube(path, self.entry["variables"], len(self.how.bands), self.entry.get("pixels"))
        fold, half = int(self.rule.get("fold", 0)) % 4, int(self.rule.get("guard", 2 * self.ratio)) // 2
        which = {"test": [fold], "val": [(fold + 1) % 4], "train": [(fold + 2) % 4, (fold + 3) % 4]}[subset]
        found: list[tuple[str, Path, Window | None]] = []
        for number in which:
            spans = []
            for side, length in zip((number // 2, number % 2), cube.shape[1:], strict=True):
                middle = length // 2
                start, stop = (0, middle - half) if side == 0 else (middle + half, length)
                spans.append((start, start + (stop - start) // self.ratio * self.ratio))
            (top, bottom), (left, right) = spans
            found.append((f"{path.stem}-q{number}", path, (top, bottom, left, right)))
        return found

    @property
    def fingerprint(self) -> str:
        """See `SceneDataModule.fingerprint`."""
        keys = [job.key for subset in ("train", "val", "test") for job, _ in self.jobs(subset)]
        return cache.digest({"parts": keys, "patch": [self.patch, self.patches_per_epoch, self.augment]})

    # --- samples ---

    def train_dataset(self) -> RolePatches:
        """Random patches of the training parts."""
        return RolePatches(self.parts("train"), self.roles, self.patch, self.patches_per_epoch)

    def val_dataset(self) -> RoleScenes | None:
        """Whole validation parts."""
        return RoleScenes(self.parts("val"), self.roles) if self.parts("val") else None

    def test_dataset(self, name: str) -> RoleScenes:
        """Whole test parts."""
        return RoleScenes(self.parts("test"), self.roles)

    def told(self) -> None:
        """Leave `summary` in the run folder."""
        if self.run_dir is not None:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            (self.run_dir / "data.json").write_text(json.dumps(self.summary(), indent=1) + "\n", encoding="utf-8")

    def summary(self) -> dict[str, Any]:
        """See `SceneDataModule.summary`."""
        parts = {
            subset: {p.name: list(p.entry.array("target").shape) for p in self.parts(subset)}
            for subset in ("train", "val", "test")
        }
        return {
            "data": self.name, "simulated": self.simulated, "collection": self.collection, "parts": parts,
            "ratio": self.ratio, "scale": self.scale, "psf_fwhm": self.how.psf, "snr_db": self.how.snr,
            "guide_snr_db": self.how.guide_snr, "knowledge": self.knowledge, "split": self.rule,
            "guide": [band.name for band in self.how.guides],
        }  # fmt: skip


def _whole(size: Sequence[int], ratio: int) -> Window:
    rows, columns = (n // ratio * ratio for n in size)
    return 0, rows, 0, columns


def _centers(bands: Sequence[Any]) -> np.ndarray:
    return np.array([band.center for band in bands], np.float32)


def _with_noise(image: np.ndarray, snr: float, rng: np.random.Generator) -> np.ndarray:
    """White noise per band at a signal-to-noise ratio in dB."""
    power = np.square(image, dtype=np.float64).mean((1, 2), keepdims=True) / 10 ** (snr / 10)
    return np.asarray(image + np.sqrt(power) * rng.standard_normal(image.shape), np.float32)
