"""Build and collect the cached parts of scenes that a split asks for, from files or from the simulated world."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from fusionbench.data import cache
from fusionbench.data.protocol import CODE, estimate_scene_shift, piece_key, write_piece
from fusionbench.data.readers.hdf5 import Hdf5Image
from fusionbench.data.readers.image import ArrayImage, Image, Scene, Window, whole
from fusionbench.data.readers.mat import MatImage
from fusionbench.data.split import Piece
from fusionbench.imaging.shift import shift as moved

SIMULATION_CODE = ("fusionbench.simulation", "fusionbench.sensors")


@dataclass(frozen=True)
class Protocol:
    """Settings of Wald's protocol for one data set.

    Args:
        ratio: PAN pixels per MS pixel.
        grid: ``area`` or ``dlpan``.
        gains: MTF gains at Nyquist, one per band.
        align: ``none`` or ``global``.
    """

    ratio: int
    grid: str
    gains: tuple[float, ...]
    align: str


@dataclass(frozen=True)
class Job:
    """A part to build: its name, its key in the cache, and a picklable function that writes it."""

    name: str
    key: str
    write: Callable[[Path], Mapping[str, Any]]


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size: int, changed: int) -> str:
    return cache.file_digest(path)


def identity(image: Image) -> dict[str, Any]:
    """What tells an image from every other: the digest of its file, and its place in it."""
    stat = image.path.stat()
    known: dict[str, Any] = {"file": _file_digest(image.path, stat.st_size, stat.st_mtime_ns)}
    if isinstance(image, MatImage):
        known["variable"] = image.name
    if isinstance(image, Hdf5Image):
        known |= {"key": image.key, "index": image.index}
    return known


def scene_shift(root: Path, scene_id: Any, lr: Image, guide: Image, ratio: int, grid: str) -> dict[str, float]:
    """The PAN-MS shift of a pair, estimated once and remembered."""
    key = cache.digest({"shift": scene_id, "ratio": ratio, "grid": grid, "code": cache.code_digest(CODE)})
    return cache.remember(root, key, lambda: estimate_scene_shift(lr, guide, ratio, grid))


@dataclass(frozen=True)
class WriteFiles:
    """Writes a part of a scene that lies in files."""

    scene: Scene
    window: Window
    protocol: Protocol
    bits: int
    shift: Mapping[str, float]

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write the arrays, return facts."""
        return _write(folder, self.scene, self.window, self.protocol, self.bits, self.shift)


@dataclass(frozen=True)
class WriteSimulated:
    """Simulates a scene and writes it."""

    sensor: Mapping[str, Any]
    seed: int
    size: int
    protocol: Protocol
    bits: int
    truth: bool = False

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        """Write the arrays, return facts."""
        from fusionbench.sensors import Sensor
        from fusionbench.simulation import simulate_pair

        pair = simulate_pair(Sensor.from_mapping(dict(self.sensor)), self.seed, self.size, truth=self.truth)
        source = Path(f"simulated-seed-{self.seed}")
        images = [ArrayImage(np.asarray(pair[name]), source) for name in ("ms", "pan")]
        scene = Scene(str(self.seed), images[0], images[1])
        protocol = self.protocol
        shift = estimate_scene_shift(scene.ms, scene.pan, protocol.ratio, protocol.grid)
        facts = _write(folder, scene, whole(scene.ms), protocol, self.bits, shift)
        if self.truth:
            _write_truth(folder, pair["truth"], protocol, shift)
        return {**facts, "simulated": pair.get("meta", {})}


def _write_truth(folder: Path, truth: Mapping[str, Any], protocol: Protocol, shift: Mapping[str, float]) -> None:
    """``truth`` [B, r h, r w] float32 DN on PAN's grid, moved as PAN is; ``classes`` [1, N, N] on the scene's grid."""
    reference, move = truth["reference"], _move(protocol, shift)
    if move is not None:
        reference = moved(torch.from_numpy(reference).double(), *move).float().numpy()
    np.save(folder / "truth.npy", np.asarray(reference, np.float32))
    np.save(folder / "classes.npy", truth["classes"][None])


def _write(
    folder: Path, scene: Scene, window: Window, protocol: Protocol, bits: int, shift: Mapping[str, float]
) -> dict[str, Any]:
    facts = write_piece(
        folder, scene, window, ratio=protocol.ratio, grid=protocol.grid, gains=protocol.gains, bits=bits,
        move=_move(protocol, shift),
    )  # fmt: skip
    return {**facts, "shift": dict(shift), "bits": bits}


def _move(protocol: Protocol, shift: Mapping[str, float]) -> tuple[float, float] | None:
    return (shift["dy"], shift["dx"]) if protocol.align == "global" else None


def file_job(root: Path, scene: Scene, piece: Piece, protocol: Protocol, bits: int) -> Job:
    """The job that writes one piece of a scene in files; estimates the scene's shift."""
    scene_id = {"ms": identity(scene.ms), "pan": identity(scene.pan), "nodata": _nodata(scene)}
    shift = scene_shift(root, scene_id, scene.ms, scene.pan, protocol.ratio, protocol.grid)
    ratio, grid, gains = protocol.ratio, protocol.grid, protocol.gains
    key = cache.digest(piece_key(scene_id, piece.window, ratio, grid, gains, bits, _move(protocol, shift)))
    return Job(piece.name, key, WriteFiles(scene, piece.window, protocol, bits, shift))


def _nodata(scene: Scene) -> list[float | None]:
    return [getattr(image, "nodata", None) for image in (scene.ms, scene.pan)]


def simulated_job(
    sensor: Mapping[str, Any], seed: int, size: int, protocol: Protocol, bits: int, truth: bool = False
) -> Job:
    """The job that simulates the scene of a seed; ``truth``: with what no sensor tells."""
    scene_id = {"sensor": dict(sensor), "seed": seed, "size": size, "code": cache.code_digest(SIMULATION_CODE)}
    window = Window(0, size, 0, size)
    key = piece_key(scene_id, window, protocol.ratio, protocol.grid, protocol.gains, bits, None)
    name = f"{sensor['name']}-{seed}"
    key |= {"align": protocol.align} | ({"truth": True} if truth else {})
    return Job(name, cache.digest(key), WriteSimulated(sensor, seed, size, protocol, bits, truth))


def collect(root: Path, jobs: Sequence[Job], what: str, parallel: bool = False) -> list[cache.Entry]:
    """Entries of all jobs, building what the cache does not hold.

    Args:
        root: folder of the cache.
        jobs: parts wanted.
        what: said beside the progress bar.
        parallel: build in as many processes as there are CPUs: pays where a part takes seconds.

    Returns:
        One entry per job, in their order.
    """
    found = {job.key: cache.find(root, job.key) for job in jobs}
    missing = list({job.key: job for job in jobs if found[job.key] is None}.values())
    if missing:
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = min(len(missing), cpus)
        with progress_bar() as progress:
            bar = progress.add_task(what, total=len(missing))
            for key, entry in _build(root, missing, workers if parallel else 1):
                found[key] = entry
                progress.advance(bar)
    return [entry for job in jobs if (entry := found[job.key]) is not None]


def progress_bar() -> Progress:
    """A bar on standard error that leaves nothing behind; none where standard error is no terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _build(root: Path, jobs: Sequence[Job], workers: int) -> Any:
    if workers <= 1:
        for job in jobs:
            yield job.key, cache.build(root, job.key, job.write)
        return
    # spawn: a fork would inherit torch's threads and any open CUDA context
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        futures = {pool.submit(cache.build, root, job.key, job.write): job.key for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
