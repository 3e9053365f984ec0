"""The data module of places: what is seen, near and done at a point or a block of a city, and its land use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from fusionbench.data import cache
from fusionbench.data.base import CachedPart, SceneDataModule
from fusionbench.data.districts import DistrictSplit, Split, TownSplit, split_places
from fusionbench.data.locate import SIMULATED
from fusionbench.data.parts import SIMULATION_CODE, Job
from fusionbench.data.readers.towns import IMAGE, PLACES, POINTS, SERIES, TownFiles
from fusionbench.data.readers.user_density import Places, read_user_density
from fusionbench.data.towns import simulated_town, town_of_files
from fusionbench.errors import ConfigError

Part = CachedPart[Mapping[str, Any]]
CODE = (
    "fusionbench.data.places",
    "fusionbench.data.districts",
    "fusionbench.data.towns",
    "fusionbench.data.readers.towns",
    "fusionbench.data.readers.user_density",
)
STANDARDISED = "activity"
TARGETS = {"target": torch.int64, "mixture": torch.float32}


@dataclass(frozen=True)
class WritePlaces:
    """Writes arrays whose first axis is the place."""

    arrays: Mapping[str, np.ndarray]

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``<role>.npy`` each; return facts."""
        for name, values in self.arrays.items():
            np.save(folder / f"{name}.npy", values)
        return {"places": len(self.arrays["target"])}


@dataclass(frozen=True)
class WriteTown:
    """Simulates the town of a seed and writes its blocks."""

    settings: Mapping[str, Any]
    seed: int
    roles: tuple[str, ...]

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``<role>.npy`` [n,...], ``target`` and ``mixture``; return facts."""
        return WritePlaces(simulated_town(self.settings, self.seed, self.roles))(folder)


@dataclass(frozen=True)
class WriteTownFiles:
    """Reads the town of a folder and writes its places."""

    files: TownFiles
    roles: tuple[str, ...]
    stretch: str
    scale: float
    by: str

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write ``<role>.npy`` [n,...] and ``target``; return facts."""
        return WritePlaces(town_of_files(self.files, self.roles, self.stretch, self.scale, self.by))(folder)


class Samples(Dataset):
    """Single places, or whole towns, of parts.

    Args:
        parts: towns, or districts of one.
        roles: arrays of a sample.
        mean, deviation: of the series, per step; None: as they are.
        towns: a sample is a part with all its places, ``scene`` in a list, as loaders without batching hand it on.
    """

    def __init__(
        self, parts: Sequence[Part], roles: Sequence[str], scale: tuple[np.ndarray, np.ndarray] | None, towns: bool
    ) -> None:
        self.parts, self.roles, self.scale, self.towns = list(parts), list(roles), scale, towns
        sizes = [len(part.entry.array("target")) for part in self.parts]
        self.places = [(i, row) for i, size in enumerate(sizes) for row in range(size)]

    def __len__(self) -> int:
        return len(self.parts) if self.towns else len(self.places)

    def arrays(self, i: int, rows: slice | int = slice(None)) -> dict[str, Tensor]:
        """Roles, ``target`` and ``mixture`` of places of a part."""
        entry, found = self.parts[i].entry, {}
        for name in (*self.roles, *(target for target in TARGETS if entry.has(target))):
            values = np.array(entry.array(name)[rows])
            if name == STANDARDISED and self.scale is not None:
                values = (values - self.scale[0]) / self.scale[1]
            found[name] = torch.as_tensor(values).to(TARGETS.get(name, torch.float32))
        return found

    def item(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One place, or one town; nothing in it is random."""
        if self.towns:
            return {**self.arrays(index), "scene": self.parts[index].name}
        i, row = self.places[index]
        return {**self.arrays(i, row), "scene": self.parts[i].name}

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.arrays(index), **self.parts[index].facts, "scene": [self.parts[index].name]}


class PlacesDataModule(SceneDataModule[Mapping[str, Any]]):
    """Places of one city in files, or of simulated towns.

    Training batches hold places: ``image`` [N,C,p,p], ``poi`` [N,M,p,p], ``activity`` [N,T], ``position`` [N,2] (row
    and column of a block, or metres north and east), as far as the card has them, and ``target`` [N]. A validation or
    test batch is one scene, a town or a district, with all its places. Series are standardised per step with means and
    deviations of the training places.

    Args:
        name: the data set's id.
        roles: of the card.
        channels: bands, kinds of points, steps of the series.
        classes: names of the classes.
        source, collection, entry, root: see `fusionbench.data.locate`.
        split: see `Split`, and `TownSplit` of files in folders of towns.
        stretch, scale: see `town_of_files`.
        simulation: seeds ``train``, ``val``, ``test``, and what `simulated_town` takes.
        towns: a training sample is a whole town; stages of a method may ask for it.
        batch_size, workers, seed, cache, run_dir: see `SceneDataModule`.
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
        split: Mapping[str, Any] | None = None,
        simulation: Mapping[str, Any] | None = None,
        stretch: str = "none",
        scale: float = 1.0,
        towns: bool = False,
        batch_size: int = 16,
        workers: int = 0,
        seed: int = 0,
        run_dir: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            cache=Path(cache).expanduser() / "places",
            batch_size=batch_size,
            seed=seed,
            workers=workers,
            run_dir=run_dir,
            what=f"simulating {name}" if source == SIMULATED else f"reading {name}",
            parallel=source == SIMULATED,
        )
        self.roles, self.classes = tuple(roles), list(classes)
        self.channels = {role: int(count) for role, count in channels.items()}
        self.simulated, self.collection, self.root, self.towns = source == SIMULATED, collection, root, towns
        self.simulation, self.stretch, self.scale_of_images = dict(simulation or {}), stretch, scale
        self.folders = bool((entry or {}).get("towns"))
        self.settings = None if self.simulated else (TownSplit if self.folders else Split)(**(split or {}))
        if self.simulated:
            self.check_seeds(self.simulation)
        self._split: DistrictSplit | None = None
        self._scale: tuple[np.ndarray, np.ndarray] | None = None

    # --- parts ---

    def _read(self) -> dict[str, Places]:
        if self.root is None:
            raise ConfigError("data.root is missing: fusionbench.data.resolve_source finds it")
        return read_user_density(Path(self.root), len(self.classes))

    def split(self) -> DistrictSplit:
        """Which places of the files train, validate and test."""
        if self._split is None:
            if not isinstance(self.settings, Split):
                raise ConfigError(f"data={self.name}: towns are not split by places")
            self._split = split_places(self._read(), self.settings)
        return self._split

    def jobs(self, subset: str) -> Sequence[tuple[Job, Mapping[str, Any]]]:
        """See `SceneDataModule.jobs`."""
        if self.simulated:
            return [self._town(int(seed)) for seed in self.simulation.get(subset) or ()]
        if self.folders:
            return [self._folder(name) for name in self._town_split()[subset]]
        found: list[tuple[Job, Mapping[str, Any]]] = []
        for scene, places in self.split().subsets[subset].items():
            north_east = np.rint(places.metres[:, ::-1]).astype(np.float64)
            arrays = {"activity": places.series, "target": places.classes, "position": north_east}
            key = cache.digest({name: values.tolist() for name, values in arrays.items()} | {"code": _code()})
            found.append((Job(scene, key, WritePlaces(arrays)), {}))
        return found

    def _town_split(self) -> dict[str, list[str]]:
        if self.root is None:
            raise ConfigError("data.root is missing: fusionbench.data.resolve_source finds it")
        names = [folder.name for folder in Path(self.root).iterdir() if (folder / IMAGE).is_file()]
        return self.settings.subsets(names) if isinstance(self.settings, TownSplit) else {}

    def _folder(self, name: str) -> tuple[Job, Mapping[str, Any]]:
        folder = Path(str(self.root)) / name
        patch, steps = int(self.simulation["patch"]), self.channels["activity"] if STANDARDISED in self.roles else 0
        files = TownFiles(folder, self.channels["image"], self.channels["poi"], steps, len(self.classes), patch)
        write = WriteTownFiles(files, self.roles, self.stretch, self.scale_of_images, str(self.simulation["by"]))
        present = [path for path in (folder / file for file in (IMAGE, POINTS, PLACES, SERIES)) if path.is_file()]
        known = asdict(write) | {"files": {path.name: cache.file_digest(path) for path in present}}
        known["files"] |= {key: value for key, value in asdict(files).items() if key != "folder"}
        return Job(name, cache.digest(known | {"code": _code()}), write), {}

    def _town(self, seed: int) -> tuple[Job, Mapping[str, Any]]:
        settings = {k: v for k, v in self.simulation.items() if k not in ("train", "val", "test")}
        settings |= {"channels": self.channels, "classes": len(self.classes)}
        key = cache.digest({"settings": settings, "seed": seed, "roles": self.roles, "code": _code(SIMULATION_CODE)})
        return Job(f"{self.name}-{seed}", key, WriteTown(settings, seed, self.roles)), {}

    @property
    def fingerprint(self) -> str:
        """See `SceneDataModule.fingerprint`."""
        keys = [job.key for subset in ("train", "val", "test") for job, _ in self.jobs(subset)]
        return cache.digest({"parts": keys, "roles": self.roles, "code": _code()})

    # --- samples ---

    def scale(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and deviation of the training places' series per step [T]; None where there are no series."""
        if STANDARDISED not in self.roles:
            return None
        if self._scale is None:
            series = np.concatenate([part.entry.array(STANDARDISED) for part in self.parts("train")]).astype(np.float64)
            deviation = series.std(0)
            self._scale = series.mean(0), np.where(deviation > 0, deviation, 1)
        return self._scale

    def _samples(self, subset: str, towns: bool) -> Samples:
        return Samples(self.parts(subset), self.roles, self.scale(), towns)

    def train_dataset(self) -> Samples:
        """Places, or towns, of the training scenes."""
        return self._samples("train", self.towns)

    def val_dataset(self) -> Samples | None:
        """Validation scenes with all their places."""
        found = self._samples("val", True)
        return found if len(found) else None

    def test_dataset(self, name: str) -> Samples:
        """Test scenes with all their places."""
        return self._samples("test", True)

    def loader(self, dataset: Any, batch_size: int, never_empty: bool = False) -> DataLoader:
        """See `SceneDataModule.loader`: a scene is a batch already."""
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        rows = range(rank, len(dataset), world)
        if never_empty and not rows:
            rows = range(1)
        return DataLoader(Subset(dataset, rows), batch_size=None, shuffle=False, num_workers=0)

    def training_places(self) -> tuple[dict[str, Tensor], Tensor]:
        """All training places: role -> [n,...], and their classes [n]."""
        samples = self._samples("train", True)
        found = [samples.arrays(i) for i in range(len(samples))]
        joined = {name: torch.cat([arrays[name] for arrays in found]) for name in found[0]}
        return joined, joined["target"]

    def counts(self, subset: str) -> list[int]:
        """Places of each class in a subset."""
        labels = [np.asarray(part.entry.array("target")) for part in self.parts(subset)]
        return np.bincount(np.concatenate(labels), minlength=len(self.classes)).tolist() if labels else []

    @property
    def mixed(self) -> bool:
        """Whether the true shares of mixed blocks are known."""
        return all(part.entry.has("mixture") for part in self.parts("test"))

    # --- record ---

    def notes(self) -> list[str]:
        """What a reader of the scores must know of the split."""
        return [] if self.simulated or self.folders else self.split().notes

    def told(self) -> None:
        """See `SceneDataModule.told`."""
        if self.run_dir is not None:
            text = json.dumps(self.summary(), indent=1) + "\n"
            (self.run_dir / "data.json").write_text(text, encoding="utf-8")

    def summary(self) -> dict[str, Any]:
        """See `SceneDataModule.summary`."""
        found: dict[str, Any] = {"data": self.name, "simulated": self.simulated, "collection": self.collection}
        for subset in ("train", "val", "test"):
            found[subset] = {part.name: len(part.entry.array("target")) for part in self.parts(subset)}
            found[f"{subset}_classes"] = self.counts(subset)
        if not self.simulated and not self.folders:
            found |= {"split": self.split().by, "places": self.split().rows, "notes": self.notes()}
        return found


def _code(further: Sequence[str] = ()) -> str:
    return cache.code_digest((*CODE, *further))
