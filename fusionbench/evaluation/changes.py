"""What a robustness test does to the inputs of a reduced-resolution scene; the reference is never touched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.imaging.shift import shift
from fusionbench.imaging.wald import degrade_ms

SHIFT, SNR, MTF, RATIO = KINDS = ("shift", "snr", "mtf", "ratio")
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # down, up, right, left

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One change: ``shift`` in fine pixels, ``snr`` in dB, ``mtf`` a factor on the gains, or another ``ratio``."""

    kind: str
    value: float

    def __str__(self) -> str:
        return f"{self.kind}={self.value:g}"


def changes_of(settings: Mapping[str, Sequence[float]], gains: Sequence[float]) -> list[Change]:
    """The changes a configuration names, in its order.

    Raises:
        ConfigError: an unknown kind, or a value that makes no sense.
    """
    found = []
    for kind, values in settings.items():
        if kind not in KINDS:
            raise ConfigError(f"evaluator.changes.{kind}: there is no such change; known are {', '.join(KINDS)}")
        for value in values:
            wrong = (kind == SHIFT and value < 0) or (kind == RATIO and (value < 2 or value != int(value)))
            if wrong or (kind == MTF and not 0 < value * max(gains) < 1):
                right = {
                    SHIFT: "0 px or more",
                    RATIO: "a whole number from 2 on",
                    MTF: "every gain stays within 0 and 1",
                }
                raise ConfigError(f"evaluator.changes.{kind}: {value}: {right[kind]}")
            found.append(Change(kind, float(value)))
    return found


def shifted(batch: Batch, distance: float) -> list[dict[str, Any]]:
    """The guide moved by ``distance`` fine pixels in four directions; 0 goes through the same resampler, once."""
    directions = DIRECTIONS if distance > 0 else DIRECTIONS[:1]
    return [{**batch, "guide": shift(batch["guide"], distance * dy, distance * dx)} for dy, dx in directions]


def noisy(batch: Batch, snr: float, seed: int) -> dict[str, Any]:
    """White Gaussian noise on ``lr`` and ``guide``, per band at 10 log10(mean square / variance) = ``snr`` dB.

    Drawn from (seed, scene): the same pattern at every SNR.
    """
    changed = dict(batch)
    for role in ("lr", "guide"):
        clean: Tensor = batch[role]
        key = hashlib.sha256(f"{seed}/{batch['scene'][0]}/{role}".encode()).digest()
        drawn = np.random.default_rng(list(key)).standard_normal(tuple(clean.shape), dtype=np.float32)
        sigma = (clean.double().square().mean((-2, -1), keepdim=True) / 10 ** (snr / 10)).sqrt()
        changed[role] = clean + (torch.from_numpy(drawn).to(clean.device) * sigma).to(clean.dtype)
    return changed


def degraded(batch: Batch, gains: Sequence[float], ratio: int, grid: str) -> dict[str, Any]:
    """``lr`` made anew from the reference, which at reduced resolution is the native MS, with these gains and ratio.

    Raises:
        DataError: the reference cannot be divided into blocks of ``ratio`` px.
    """
    target: Tensor = batch["target"]
    if any(n % ratio for n in target.shape[-2:]):
        raise DataError(
            f"evaluator.changes.ratio: {list(target.shape[-2:])} px ({batch['scene'][0]}) do not divide by {ratio}"
        )
    lr = degrade_ms(target.double(), gains, ratio, grid).to(target.dtype)
    return {**batch, "lr": lr, "ratio": torch.full_like(batch["ratio"], ratio)}
