"""Seconds of every index beside sewar's, torchmetrics' and a straightforward NumPy one, on the same images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sewar import full_ref, no_ref
from torchmetrics.functional import image as tm

from benchmarks.measure import Row, side_by_side
from fusionbench.metrics import functional as F

TITLE = "Indices"
PEAK = 2047.0
SIZES = ((256, 4), (256, 8), (256, 128), (1024, 4), (1024, 8), (1024, 128), (4096, 4), (4096, 8))
# beyond this many values the peers take minutes: ours is measured alone
PEERS_UP_TO = 1024 * 1024 * 8
REDUCED = ("PSNR", "SSIM", "SAM", "ERGAS", "SCC", "UIQI", "Q2n")


def run() -> list[Row]:
    """Every index at every size, ours beside the fastest peer."""
    rows = []
    for size, bands in SIZES:
        peers = size * size * bands <= PEERS_UP_TO
        shape, images = f"{size}x{size}x{bands}", _images(size, bands)
        jobs = _ours(*images)
        others = _peers(*images) if peers else {}
        repeats = 5 if size <= 256 else 3 if peers else 1
        total = 0.0
        for name, job in jobs.items():
            found = side_by_side({"ours": job, **others.get(name, {})}, repeats if name in jobs else 1)
            ours = found.pop("ours")
            total += ours if name in REDUCED else 0.0
            best = min(found, key=lambda key: found[key]) if found else None
            target = ("20" if name == "Q2n" else "5") + " times the fastest" if peers else ""
            rows.append(
                Row(f"{name}, {shape}", ours, found.get(best or ""), best or "", found[best] / ours if best else None,
                    target=target)
            )  # fmt: skip
        target = "under 10 s" if (size, bands) == (1024, 8) else ""
        rows.append(Row(f"the reduced-resolution set, {shape}", total, None, "", None, target=target))
    return rows


def _images(size: int, bands: int) -> tuple[torch.Tensor, ...]:
    """Smooth digital numbers with noise: reference, estimate, MS and PAN."""
    rng = np.random.default_rng(7)
    coarse = torch.from_numpy(rng.uniform(200, 1500, (1, bands, size // 16, size // 16)))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)
    noisy = [smooth + torch.from_numpy(rng.normal(0, scale, smooth.shape)) for scale in (20, 60)]
    reference, estimate = (image.round().clamp(0, PEAK) for image in noisy)
    ms = torch.nn.functional.avg_pool2d(reference, 4).round()
    return reference, estimate, ms, reference.mean(1, keepdim=True).round()


def _ours(x: torch.Tensor, y: torch.Tensor, ms: torch.Tensor, pan: torch.Tensor) -> dict[str, Callable[[], Any]]:
    gains = [0.3] * x.shape[1]
    return {
        "PSNR": lambda: F.psnr(x, y, data_range=PEAK),
        "SSIM": lambda: F.ssim(x, y, data_range=PEAK),
        "SAM": lambda: F.sam(x, y),
        "ERGAS": lambda: F.ergas(x, y, ratio=4),
        "SCC": lambda: F.scc(x, y),
        "UIQI": lambda: F.uiqi(x, y),
        "Q2n": lambda: F.q2n(x, y),
        "D_lambda": lambda: F.d_lambda(y, ms, grid="area"),
        "D_s": lambda: F.d_s(y, ms, pan, grid="area"),
        "QNR": lambda: F.qnr(y, ms, pan, grid="area"),
        "HQNR": lambda: F.hqnr(y, ms, pan, gains=gains, grid="area"),
    }


def _peers(
    x: torch.Tensor, y: torch.Tensor, ms: torch.Tensor, pan: torch.Tensor
) -> dict[str, dict[str, Callable[[], Any]]]:
    """The same figure from other hands. sewar and NumPy take [H,W,B], torchmetrics [N,B,H,W]."""
    a, b, low, fine = (np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()) for image in (x, y, ms, pan))
    found: dict[str, dict[str, Callable[[], Any]]] = {
        "PSNR": {
            "sewar": lambda: full_ref.psnr(a, b, MAX=PEAK),
            "torchmetrics": lambda: tm.peak_signal_noise_ratio(y, x, data_range=PEAK),
            "NumPy": lambda: 20 * np.log10(PEAK / np.sqrt(((a - b) ** 2).mean())),
        },
        "SSIM": {
            "sewar": lambda: full_ref.ssim(a, b, MAX=PEAK),
            "torchmetrics": lambda: tm.structural_similarity_index_measure(y, x, data_range=PEAK),
        },
        "SAM": {
            "sewar": lambda: full_ref.sam(a, b),
            "torchmetrics": lambda: tm.spectral_angle_mapper(y, x),
            "NumPy": lambda: np.arccos(
                (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
            ).mean(),
        },
        "ERGAS": {
            "torchmetrics": lambda: tm.error_relative_global_dimensionless_synthesis(y, x, ratio=4),
            "NumPy": lambda: 25 * np.sqrt((((a - b) ** 2).mean((0, 1)) / a.mean((0, 1)) ** 2).mean()),
        },
        "SCC": {"sewar": lambda: full_ref.scc(a, b), "torchmetrics": lambda: tm.spatial_correlation_coefficient(y, x)},
        "UIQI": {
            "sewar": lambda: full_ref.uqi(a, b, ws=32),
            "torchmetrics": lambda: tm.universal_image_quality_index(y, x),
        },
        "D_lambda": {
            "sewar": lambda: no_ref.d_lambda(low, b),
            "torchmetrics": lambda: tm.spectral_distortion_index(y, ms),
        },
        "D_s": {"sewar": lambda: no_ref.d_s(fine, low, b)},
        "QNR": {"sewar": lambda: no_ref.qnr(fine, low, b)},
    }
    if x.shape[1] in (4, 8):
        found["Q2n"] = {"sewar": lambda: full_ref.q2n(a, b)}
    return found
