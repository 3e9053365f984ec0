"""Full-scene prediction: PAN 8192x8192 with 4 bands; megapixels a second and peak memory, each in its own process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin

from benchmarks.measure import Row

TITLE = "Full-scene prediction"
SIDE, BANDS, RATIO, BLOCK = 8192, 4, 4, 512
METHODS = ("brovey", "gsa", "mtf_glp_hpm", "pannet")


def run() -> list[Row]:
    """Rates of whole files through ``predict_files``, beside GDAL's pansharpening and the bare network."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene(folder)
        found = {method: _child("ours", method, folder) for method in METHODS}
        found["gdal"], found["bare"] = _child("gdal", "", folder), _child("bare", "pannet", folder)
    rows = []
    for method in METHODS:
        ours = found[method]
        if "refused" in ours:
            rows.append(Row(f"{method}: refused ({ours['refused']})", float("nan"), None, "", None))
            continue
        peer = {"brovey": ("gdal", "GDAL pansharpening", "1"), "pannet": ("bare", "bare network on tiles", "0.9")}
        key, against, target = peer.get(method, (None, "", ""))
        reference = found[key]["rate"] if key is not None else None
        ratio = None if reference is None else ours["rate"] / reference
        rows.append(Row(f"{method}, rate", ours["rate"], reference, against, ratio, "Mpx/s", target))
        rows.append(
            Row(f"{method}, peak memory", ours["memory"], None, "", None, "GiB", "under 2 GiB for methods in tiles")
        )
    return rows


def _child(kind: str, method: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.prediction", kind, method, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def scene(folder: Path) -> None:
    """A georeferenced pair of noise over gradients, uint16, tiled."""
    rng = np.random.default_rng(3)
    for name, side, bands, pixel in (("pan", SIDE, 1, 0.5), ("ms", SIDE // RATIO, BANDS, 0.5 * RATIO)):
        profile = {
            "driver": "GTiff", "width": side, "height": side, "count": bands, "dtype": "uint16", "tiled": True,
            "blockxsize": BLOCK, "blockysize": BLOCK, "crs": "EPSG:32632",
            "transform": from_origin(500000, 5000000, pixel, pixel),
        }  # fmt: skip
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as target:
            for top in range(0, side, BLOCK):
                rows = np.arange(top, top + BLOCK)[:, None] / side
                values = 400 + 600 * rows + rng.normal(0, 60, (bands, BLOCK, side))
                target.write(values.clip(1, 2047).astype(np.uint16), window=((top, top + BLOCK), (0, side)))


def measure(kind: str, method: str, folder: Path) -> dict[str, Any]:
    """Megapixels of PAN a second and peak GiB of one arm, in this process."""
    begin = time.perf_counter()
    if kind == "gdal":
        pixels = _gdal(folder)
    elif kind == "bare":
        pixels, begin = _bare(method)
    else:
        from fusionbench.errors import RefusedError

        try:
            begin = _ours(method, folder)
        except RefusedError as error:
            return {"refused": str(error).splitlines()[0]}
        pixels = SIDE * SIDE
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"rate": pixels / 1e6 / seconds, "memory": peak}


def _config(method: str) -> dict[str, Any]:
    from fusionbench.app import compose, machine

    cfg = compose.composed("train", [f"model={method}", "data=quickbird", "data.source=simulated", "paths.run=unused"])
    choices = {"model": method, "data": "quickbird", "recipe": "demo"}
    config = compose.resolved(cfg, choices, Path("unused"))
    machine.prepare(config)
    return config


def _ours(method: str, folder: Path) -> float:
    from fusionbench.building import build
    from fusionbench.inference import predict_files
    from fusionbench.regimes.checkpoint import checkpoint_facts

    config = _config(method)
    regime = build(config["model"]["module"])
    facts = checkpoint_facts(config)
    regime.attach(None, facts)
    begin = time.perf_counter()
    inputs = {"lr": folder / "ms.tif", "guide": folder / "pan.tif"}
    predict_files(regime, facts, inputs, folder / f"{method}.tif", tile=1024, compress="none")
    return begin


def _bare(method: str) -> tuple[int, float]:
    from fusionbench.building import build

    network = build(_config(method)["model"]["module"]["network"]).eval().to(memory_format=torch.channels_last)
    side, tiles = 1024, 8
    lr, guide = torch.rand(1, BANDS, side // RATIO, side // RATIO), torch.rand(1, 1, side, side)
    with torch.no_grad():
        network(lr, guide)
        begin = time.perf_counter()
        for _ in range(tiles):
            network(lr, guide)
    return tiles * side * side, begin


def _gdal(folder: Path) -> int:
    """GDAL's weighted Brovey through a virtual file, read in blocks and written as we write."""
    bands = "".join(
        f'<SpectralBand dstBand="{band}"><SourceFilename relativeToVRT="1">ms.tif</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SpectralBand>"
        for band in range(1, BANDS + 1)
    )
    weights = ",".join(["0.25"] * BANDS)
    (folder / "pansharpened.vrt").write_text(
        '<VRTDataset subClass="VRTPansharpenedDataset"><PansharpeningOptions><Algorithm>WeightedBrovey</Algorithm>'
        f"<AlgorithmOptions><Weights>{weights}</Weights></AlgorithmOptions><NumThreads>2</NumThreads>"
        '<PanchroBand><SourceFilename relativeToVRT="1">pan.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</PanchroBand>"
        f"{bands}</PansharpeningOptions></VRTDataset>"
    )
    with rasterio.open(folder / "pansharpened.vrt") as source:
        profile = source.profile | {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
        with rasterio.open(folder / "gdal.tif", "w", **profile) as target:
            for top in range(0, SIDE, BLOCK):
                window = ((top, top + BLOCK), (0, SIDE))
                target.write(source.read(window=window), window=window)
    return SIDE * SIDE


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3])))}\n")
