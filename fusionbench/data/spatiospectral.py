"""The data module of pansharpening: from files or the simulated world to batches at reduced and full resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from fusionbench.data import cache, record
from fusionbench.data.augment import check_augmentation
from fusionbench.data.base import SceneDataModule
from fusionbench.data.datasets import Facts, Hdf5Patches, ReadyScenes, ScenePatches, WholeScenes
from fusionbench.data.locate import ALIGNMENTS, SIMULATED
from fusionbench.data.overlap import Overlap
from fusionbench.data.parts import SIMULATION_CODE, Job, Protocol, file_job, identity, simulated_job
from fusionbench.data.protocol import CODE
from fusionbench.data.readers.image import ReadyScene, Scene
from fusionbench.data.sources import Source, open_source
from fusionbench.data.split import Piece, Split, SplitSettings, split_scenes, write_split
from fusionbench.errors import ConfigError, DataError

RESOLUTIONS = ("reduced", "full")
PARALLEL_SIZE = 128  # px of MS; a smaller scene is simulated sooner than a process has started
VAL_BATCH = 32  # ready validation patches are scored together


class SpatioSpectralDataModule(SceneDataModule[Facts]):
    """PAN / MS scenes or ready patches, split by scene or block, at reduced (Wald) and full resolution.

    Batches hold ``lr`` [N, B, h, w], ``guide`` [N, 1, H, W], ``target`` [N, B, H, W] (not at full resolution), perhaps
    ``valid`` [N, 1, H, W], float32 in units of 2^bits - 1, and the metadata ``scene``, ``sensor``, ``bits``, ``ratio``,
    ``gsd`` (metres, target grid). Test loaders give one scene a batch, in the order of `test_sets`.

    Args:
        name: the data set's id.
        sensor: its sensor record (plain mapping).
        channels: ``{lr: B, guide: 1}``.
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
        source: ``files`` or ``simulated`` (`fusionbench.data.resolve_source` settles ``auto``).
        collection: layout of the files.
        entry: the card's entry for that layout.
        root: folder of the files.
        bits: bit depth.
        nodata: value that marks missing pixels where the files do not say so.
        align: ``none``, or ``global``: PAN is moved by its estimated shift before any degradation.
        augment: ``none`` or ``flips`` (training batches, area grid).
        batch_size: training patches a step.
        patch: side of a training patch on the target's grid.
        patches_per_epoch: random patches called an epoch (scenes only).
        train_on: ``reduced``, or ``full``: training patches are MS and PAN themselves, without a target (scenes only).
        workers: processes that read training batches.
        split: see `SplitSettings`.
        simulation: ``size`` in MS pixels, seeds ``train``, ``val``, ``test``.
        seed: of the run.
        cache: folder of memory-mapped arrays.
        run_dir: the run's folder, which gets ``split.json`` and ``data.json`` (see `summary`).
        truth: simulated data only: the test set ``full`` has the noise-free scene as ``target``, and the parts hold the
            array ``classes`` (see `fusionbench.simulation.simulate_pair`).

    Raises:
        ConfigError: a setting that is wrong or does not fit another.
    """

    def __init__(
        self,
        *,
        name: str,
        sensor: Mapping[str, Any],
        channels: Mapping[str, int],
        ratio: int,
        grid: str,
        source: str,
        collection: str,
        entry: Mapping[str, Any] | None,
        root: str | None,
        bits: int,
        cache: str,
        nodata: float | None = None,
        align: str = "none",
        augment: str = "none",
        batch_size: int = 8,
        patch: int = 64,
        patches_per_epoch: int = 2000,
        train_on: str = "reduced",
        workers: int = 0,
        split: Mapping[str, Any] | None = None,
        simulation: Mapping[str, Any] | None = None,
        seed: int = 0,
        run_dir: str | None = None,
        truth: bool = False,
    ) -> None:
        super().__init__(
            name=name,
            cache=Path(cache).expanduser() / "pansharpening",
            batch_size=batch_size,
            seed=seed,
            workers=workers,
            run_dir=run_dir,
            augment=augment,
            what=f"simulating {sensor['name']}" if source == SIMULATED else f"degrading {name}",
            parallel=source == SIMULATED and int((simulation or {}).get("size", 0)) >= PARALLEL_SIZE,
        )
        unsettled = [f"{k}={v}" for k, v in (("source", source), ("grid", grid), ("bits", bits)) if v == "auto"]
        if unsettled:
            raise ConfigError(f"data: {', '.join(unsettled)} must be settled by fusionbench.data.resolve_source first")
        check_augmentation(augment, grid)
        if align not in ALIGNMENTS:
            raise ConfigError(f"data.align={align}: one of {', '.join(ALIGNMENTS)}")
        if patches_per_epoch < 1:
            raise ConfigError(f"data.patches_per_epoch={patches_per_epoch}: 1 or more")
        if truth and source != SIMULATED:
            raise ConfigError(f"evaluator.truth: data={name} are images of a real sensor, whose truth nobody knows")
        if train_on not in RESOLUTIONS:
            raise ConfigError(f"data.train_on={train_on}: one of {', '.join(RESOLUTIONS)}")
        if patch < ratio or patch % ratio:
            raise ConfigError(f"data.patch={patch}: a multiple of the ratio {ratio}, so that patches lie on both grids")
        self.sensor, self.ratio, self.grid, self.bits = dict(sensor), ratio, grid, bits
        self.bands = int(channels["lr"])
        self.truth = truth
        self.simulated, self.collection, self.entry = source == SIMULATED, collection, dict(entry or {})
        self.root, self.nodata, self.align = root, nodata, align
        self.patch, self.patches_per_epoch, self.train_on = patch, patches_per_epoch, train_on
        self.settings = SplitSettings(**(split or {}))
        self.simulation = dict(simulation or {})
        self.gains = tuple(float(band["mtf"]) for band in self.sensor["bands"])
        if len(self.gains) != self.bands:
            raise ConfigError(
                f"data.channels.lr={self.bands}, but the sensor {self.sensor['name']} has {len(self.gains)} bands"
            )
        if self.simulated:
            self.check_seeds(self.simulation)
            if int(self.simulation.get("size", 0)) < self.patch:
                raise ConfigError(
                    f"data.simulation.size={self.simulation.get('size')}: at least data.patch={self.patch}"
                )
        self._source: Source | None = None
        self._split: Split | None = None
        self._checked = False

    # --- what there is ---

    @property
    def source(self) -> Source:
        """The opened collection (headers only), empty for simulated data."""
        if self._source is None:
            if self.simulated:
                self._source = Source()
            else:
                if self.root is None:
                    raise ConfigError("data.root is missing: fusionbench.data.resolve_source finds it")
                self._source = open_source(
                    self.collection, Path(self.root), self.entry, self.bands, self.ratio, self.nodata
                )
                if self.align == "global" and not self._source.scenes:
                    raise ConfigError(
                        f"data.align=global needs native scenes; {self.collection} holds pairs already degraded"
                    )
        return self._source

    @property
    def split(self) -> Split:
        """Pieces of native scenes by subset."""
        if self._split is None:
            sizes = {scene.name: (scene.ms.shape[1], scene.ms.shape[2]) for scene in self.source.scenes}
            by_number = self.collection == "nbu"
            self._split = split_scenes(sizes, self.settings, self.ratio, by_number) if sizes else Split("published", ())
        return self._split

    @property
    def test_sets(self) -> list[str]:
        """Names of the test sets, in the order of `test_dataloader`."""
        if self.simulated or self.source.scenes:
            return ["reduced", "full"]
        return [name for name in ("reduced", "full") if getattr(self.source, name)]

    @property
    def fingerprint(self) -> str:
        """sha256 of all that the data depend on (files or seeds, split, protocol, code); known before building."""
        source, code = self.source, (*CODE, *SIMULATION_CODE) if self.simulated else CODE
        files: dict[str, Any] = {
            "scenes": {scene.name: [identity(scene.ms), identity(scene.pan)] for scene in source.scenes},
            "reduced": [[r.name, *(identity(image) for image in r.roles.values())] for r in source.reduced],
            "full": [[r.name, *(identity(image) for image in r.roles.values())] for r in source.full],
            "patches": [None if file is None else cache.file_digest(file.path) for file in (source.train, source.val)],
        }
        return cache.digest(
            {
                "files": self.simulation | {"sensor": self.sensor} if self.simulated else files,
                "split": self.split.as_dict(),
                "protocol": [self.ratio, self.grid, self.gains, self.bits, self.align, self.nodata],
                "patch": [self.patch, self.patches_per_epoch, self.augment, self.train_on],
                "code": cache.code_digest(code),
            }
        )

    # --- building ---

    def check_fit(self) -> None:
        """See `SceneDataModule.check_fit`."""
        self._check_trainable()
        self._check_overlap()
        if self.run_dir is not None and self.split.pieces and self.rank == 0:
            write_split(self.run_dir / "split.json", self.split, self.settings)

    def told(self) -> None:
        """See `SceneDataModule.told`."""
        record.report(self)

    def _check_trainable(self) -> None:
        if self.parts("train") or self.source.train is not None:
            return
        raise DataError(
            f"data={self.name}: nothing to train on. {self._origin()} holds test images only"
            f"{'' if not self.source.scenes else ' under this split (data.split)'}; "
            "evaluate a trained model on it (evaluate.py), or train on another collection or on simulated scenes"
        )

    def _origin(self) -> str:
        return "the simulated world" if self.simulated else f"collection {self.collection} in {self.root}"

    def jobs(self, subset: str) -> Sequence[tuple[Job, Facts]]:
        """See `SceneDataModule.jobs`; none for collections of ready pairs."""
        protocol = Protocol(self.ratio, self.grid, self.gains, self.align)
        if self.simulated:
            size, facts = int(self.simulation["size"]), self._facts(self.bits)
            return [
                (simulated_job(self.sensor, int(seed), size, protocol, self.bits, self.truth), facts)
                for seed in self.simulation.get(subset) or ()
            ]
        scenes = {scene.name: scene for scene in self.source.scenes}
        return [self._file_job(scenes[piece.scene], piece, protocol) for piece in self.split.of(subset)]

    def _file_job(self, scene: Scene, piece: Piece, protocol: Protocol) -> tuple[Job, Facts]:
        bits = self.bits if scene.bits is None else scene.bits
        return file_job(self.cache, scene, piece, protocol, bits), self._facts(bits)

    def _facts(self, bits: int) -> Facts:
        gsd = float(self.sensor["gsd"])  # of MS
        return Facts(str(self.sensor["name"]), bits, self.ratio, gsd, gsd / self.ratio)

    # --- loaders ---

    def train_dataset(self) -> ScenePatches | Hdf5Patches:
        """Training patches; `item(index, rng)` gives one."""
        if self.source.train is not None and self.train_on == "full":
            raise ConfigError(
                f"data.train_on=full: {self._origin()} holds training patches at reduced resolution only; "
                "data.train_on=reduced trains on those, without their targets"
            )
        if self.source.train is not None:
            return Hdf5Patches(self.source.train, self._facts(self.bits), "train")
        self._check_trainable()
        return ScenePatches(self.parts("train"), self.patch, self.patches_per_epoch, self.train_on == "full")

    def val_dataset(self) -> WholeScenes | None:
        """Validation scenes at reduced resolution."""
        return WholeScenes(self.parts("val"), full=False) if self.parts("val") else None

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """Validation scenes at reduced resolution, one a batch; ready patches in batches."""
        if self.source.val is None:
            return super().val_dataloader()
        return self.loader(Hdf5Patches(self.source.val, self._facts(self.bits), "val"), VAL_BATCH, never_empty=True)

    def test_dataset(self, name: str) -> Dataset:
        """Scenes of one test set, ``reduced`` or ``full``."""
        if self.parts("test"):
            return WholeScenes(self.parts("test"), full=name == "full")
        ready: list[ReadyScene] = getattr(self.source, name)
        return ReadyScenes(ready, [self._facts(self.bits if r.bits is None else r.bits) for r in ready])

    def test_dataloader(self) -> list[DataLoader]:
        """One loader per test set, one scene a batch.

        Raises:
            DataError: the collection or the split holds no test scene.
        """
        if not self.test_sets or (not self.parts("test") and not (self.source.reduced or self.source.full)):
            raise DataError(f"data={self.name}: no test scenes in {self._origin()} (data.split.by={self.settings.by})")
        return super().test_dataloader()

    # --- checks and record ---

    def find_overlaps(self, every_patch: bool = False) -> list[Overlap]:
        """Ground that training or validation shares with testing, or training with validation.

        Args:
            every_patch: look at every patch of a published training file, not at a sample of them.
        """
        return record.overlaps(self, every_patch)

    def _check_overlap(self) -> None:
        if self._checked or self.simulated:  # a simulated scene is its seed, and seeds are disjoint
            return
        key = cache.digest(
            {"overlap": self.fingerprint, "tiles": [record.TILE, record.MS_TILE, record.PATCHES_CHECKED]}
        )
        found = cache.remember(self.cache, key, lambda: [str(overlap) for overlap in self.find_overlaps()])
        if found:
            raise DataError(record.shared_ground(str(self.name), found))
        self._checked = True

    def shifts(self) -> list[dict[str, Any]]:
        """Estimated PAN-MS shift of every loaded part and every ready test pair, in PAN pixels."""
        return record.shifts(self)

    def summary(self) -> dict[str, Any]:
        """What was read, in plain values, for the report: source, split, scenes with sizes, shifts, missing pixels."""
        return record.summary(self)
