"""Regimes of methods that classify pixel by pixel: whole scenes are cut into windows here, and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError
from fusionbench.imaging.borders import extend
from fusionbench.losses.classification import CrossEntropy
from fusionbench.networks.roles import device_of
from fusionbench.regimes.base import Regime
from fusionbench.regimes.classical import keep_state
from fusionbench.regimes.staged import Staged
from fusionbench.regimes.supervised import Supervised

NUMBERS = 2**24  # of all windows that go through the network at a time
WEIGHTS = ("none", "inverse", "median")


class ByPixel(Regime):
    """What such methods share: training batches hold windows, a batch with ``asked`` one whole scene.

    The network's ``forward`` takes windows [n,B,p,p] and gives logits [n,C]; ``fuse`` of a scene gives them as a map
    [1,C,H,W], 0 at pixels that are not asked for.
    """

    def attach(self, evaluator: Any, facts: Mapping[str, Any]) -> None:
        """See `Regime.attach`; a network that names its modalities is given those."""
        super().attach(evaluator, facts)
        self._offered = list(getattr(self.network, "modalities", None) or self._offered or ()) or None

    def read_roles(self) -> tuple[str, ...]:
        """Roles of the data that the method reads."""
        named = (*self._roles.required, *self._roles.optional)
        return tuple(self._bind.get(role, role) for role in named) + tuple(
            self._offered or () if self._roles.further else ()
        )

    def fuse(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits [1,C,H,W] of a scene, or [N,C] of a batch of windows.

        A batch whose ``withheld`` names a role is a scene without that modality, for methods with a mode of their own.

        Raises:
            DataError: a scene scaled otherwise than the training data were.
        """
        if "asked" not in batch:
            return super().fuse(batch)
        self._check_scaling(batch)
        asked = batch["asked"][0, 0]
        places = asked.nonzero()
        rasters = self._rasters(batch)
        window = int(batch["window"][0])
        size = sum(x.shape[1] for x in rasters.values()) * window**2
        own = "withheld" in batch
        chunk = max(len(places), 1) if own else max(NUMBERS // size, 1)
        found = []
        with batch_statistics(self.network) if own else _nothing():
            for some in places.split(chunk):
                cut = {role: windows_at(x, some, window) for role, x in rasters.items()}
                found.append(super().fuse(dict(batch) | cut))
        if not found:
            raise DataError("no pixel of the scene is asked for")
        logits = torch.cat(found)
        scores = logits.new_zeros(logits.shape[1], asked.numel())
        scores[:, asked.flatten().nonzero()[:, 0]] = logits.T
        return scores.reshape(1, -1, *asked.shape)

    def _rasters(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Rasters the method reads, continued by half a window beyond the edges."""
        taken = self._roles.take(batch, self._bind, offered=self._offered)
        half, padding = int(batch["window"][0]) // 2, str(batch["padding"][0])
        found = {}
        for name, x in taken.items():
            role = self._bind.get(name, name)
            if padding == "zero":
                found[role] = nn.functional.pad(x, (half,) * 4)
            else:
                found[role] = extend(extend(x, half, half, -1, "symmetric"), half, half, -2, "symmetric")
        return found

    def _check_scaling(self, batch: Mapping[str, Any]) -> None:
        data = (self.facts.get("config") or {}).get("data") or {}
        for key in ("window", "scaling", "padding"):
            trained, here = data.get(key), batch[key][0]
            here = int(here) if key == "window" else str(here)
            if trained is not None and trained != here:
                raise DataError(f"data.{key}={here}: the method was trained with {key}={trained}; data.{key}={trained}")


def windows_at(raster: Tensor, places: Tensor, window: int) -> Tensor:
    """Windows of a raster that was continued by half a window on each side.

    Args:
        raster: [1,B,H+p-1,W+p-1].
        places: [n,2] rows and columns in the raster before that.
        window: p.

    Returns:
        [n,B,p,p].
    """
    steps = torch.arange(window, device=raster.device)
    rows, columns = places[:, 0, None] + steps, places[:, 1, None] + steps
    return raster[0][:, rows[:, :, None], columns[:, None, :]].movedim(0, 1)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms use the statistics of the batch they see, and keep none of it."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    kept = [(layer.training, {k: v.clone() for k, v in layer.named_buffers()}) for layer in norms]
    try:
        for layer in norms:
            layer.train()
        yield
    finally:
        for layer, (training, buffers) in zip(norms, kept, strict=True):
            layer.train(training)
            for name, value in buffers.items():
                layer.get_buffer(name).copy_(value)


def class_weights(counts: list[int], kind: str) -> list[float]:
    """A weight per class from its number of training pixels.

    Args:
        counts: pixels of each class.
        kind: ``inverse``: n / (classes there are x its pixels); ``median``: median over its pixels (Eigen and Fergus
            2015). A class without pixels has weight 0.

    Raises:
        ConfigError: another kind.
    """
    if kind not in WEIGHTS[1:]:
        raise ConfigError(f"model.module.class_weights={kind}: one of {', '.join(WEIGHTS)}")
    there = torch.tensor([float(n) for n in counts if n > 0], dtype=torch.float64)
    top = float(there.sum()) / len(there) if kind == "inverse" else float(there.quantile(0.5))
    return [top / n if n > 0 else 0.0 for n in counts]


class PixelClassification(ByPixel, Supervised):
    """A network that learns from windows around labelled pixels.

    Args:
        network, loss, optimizer and the rest: see `Supervised`.
        class_weights: ``none``, or how the cross entropy weighs classes, see `class_weights`.

    Raises:
        ConfigError: unknown weights.
    """

    def __init__(self, *args: Any, class_weights: str = "none", **settings: Any) -> None:
        super().__init__(*args, **settings)
        if class_weights not in WEIGHTS:
            raise ConfigError(f"model.module.class_weights={class_weights}: one of {', '.join(WEIGHTS)}")
        self.class_weights = class_weights

    def on_fit_start(self) -> None:
        """Weigh the classes by the training pixels."""
        if self.class_weights != "none":
            found = class_weights(self.trainer.datamodule.counts("train"), self.class_weights)  # type: ignore[attr-defined]
            for term in self.loss.terms.values():
                if isinstance(term, CrossEntropy):
                    term.weigh(found)


class PixelStages(ByPixel, Staged):
    """Networks that learn in stages from windows around labelled pixels; see `Staged`."""


class PixelSolver(ByPixel):
    """A classifier of pixels that is fitted at once (`fusionbench.classical.classification`), no windows, no steps.

    Args:
        method: ``fit(samples, labels)`` and ``forward(asked, **modalities)``.
    """

    def __init__(self, method: nn.Module) -> None:
        super().__init__(method)

    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Fit to all training pixels; the checkpoint holds them."""
        module: Any = datamodule
        module.prepare_data()
        module.setup("fit")
        samples, labels = module.training_pixels()
        fit: Any = self.network
        fit.fit({role: torch.from_numpy(x) for role, x in samples.items()}, torch.from_numpy(labels))
        return keep_state(self, trainer, run_dir)

    def fuse(self, batch: Mapping[str, Any]) -> Tensor:
        """Scores [1,C,H,W] of a scene."""
        with torch.autocast(device_of(batch).type, enabled=False):
            return self.outputs(batch)["output"]
