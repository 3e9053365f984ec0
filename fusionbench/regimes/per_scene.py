"""Methods that are fitted anew to each scene they are asked to fuse."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fusionbench.building import build, resolve_target
from fusionbench.errors import CheckpointError, ConfigError, DivergedError
from fusionbench.networks.fitting import SCENE_ARGUMENTS, SceneFit, Stage, Update
from fusionbench.networks.roles import NO_INPUTS, device_of
from fusionbench.regimes.base import Regime
from fusionbench.regimes.checkpoint import KEY, load_weights, plain, read_checkpoint
from fusionbench.regimes.classical import keep_state
from fusionbench.regimes.logger import CsvLogger
from fusionbench.regimes.progress import Bars
from fusionbench.regimes.scenes import Fused, Kept, scene_folder

Tell = Callable[[int, int, Stage, int, Mapping[str, Tensor]], None]  # stage n of m, which, step, what it minimises
LOOK = 50  # steps between two looks at the loss on a GPU, where a look waits for the device


class PerScene(Regime):
    """A method whose training is part of fusing: fresh weights, fitted to the inputs of one scene.

    The fit lives in ``fuse``, so testing, prediction and other code share it. It is given the roles that the network's
    ``forward`` names and the scene's metadata, never the reference; it draws from (seed, scene) alone, so that a
    scene's result depends on nothing else. While testing, every finished scene is kept in ``fused/<set>-<scene>/`` of
    the run folder and not fitted again.

    Args:
        network: configuration of the network, built anew for each scene; its constructor is told what it names of
            ``SCENE_ARGUMENTS`` (``lr_size``: rows and columns of ``lr``, ``srf_support``).
        fit: configuration of the ``SceneFit``, built anew for each scene.
        start: checkpoint of a trained network to begin from; afterwards part of this method's own checkpoint.
        value_range: see ``ValueRange``; the fit works in it.

    Attributes:
        estimates: what the last fit found out beside the image (``SceneFit.estimates``), on the CPU.

    Raises:
        ConfigError: the method begins from a checkpoint and none is named.
    """

    tileable = False

    def __init__(
        self,
        network: Mapping[str, Any],
        fit: Mapping[str, Any],
        start: str | None = None,
        value_range: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(build(network, "model.module.network"), value_range)
        self._network, self._fit, self.start = plain(network), plain(fit), start
        self._tell: Tell = _silent
        self._steps = 0
        self.estimates: dict[str, Tensor] = {}
        made = self._make_fit()
        if made.needs_start and start is None:
            raise ConfigError(
                f"model.module.start is not given: {type(made).__name__} begins from a trained "
                f"{type(self.network).__name__}, e.g. model.module.start=<run>/checkpoints/best.ckpt"
            )

    def _make_fit(self) -> SceneFit:
        made = build(self._fit, "model.module.fit")
        if not isinstance(made, SceneFit):
            raise ConfigError(f"model.module.fit: {type(made).__name__} is no SceneFit (fusionbench.networks.fitting)")
        return made

    def learn(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule, run_dir: Path, resume: bool) -> Path:
        """Nothing to learn before a scene is there: take the starting weights and write the checkpoint.

        Raises:
            CheckpointError: ``start`` is missing, of another method, or made for other data.
        """
        run = (self.facts.get("config") or {}).get("run") or {}
        self.facts["training"] = {
            "recipe": str(run.get("recipe") or ""),
            "selected_on": "nothing (each scene is fitted by itself)",
            **({} if self.start is None else self._take_start(self.start)),
        }
        return keep_state(self, trainer, run_dir)

    def _take_start(self, path: str) -> dict[str, Any]:
        """Take a checkpoint's weights, and tell what they were trained on."""
        content = read_checkpoint(path)
        for key in ("channels", "ratio", "grid", "value_range"):
            if content[KEY][key] != self.facts[key]:
                raise CheckpointError(
                    f"model.module.start={path}: made for {key} {content[KEY][key]}, here it is {self.facts[key]}; "
                    "name a checkpoint trained on data like these"
                )
        load_weights(self, content["state_dict"], path)
        training = content[KEY].get("training") or {}
        return {key: training[key] for key in ("trained_on", "trained_on_simulated") if key in training}

    # --- fusing ---

    def fuse(self, batch: Mapping[str, Any]) -> Tensor:
        """Fit each image of the batch by itself: [N,B,H,W] in the batch's units, in full precision.

        Args:
            batch: tensors under roles and metadata; the reference and its mask are not looked at.

        Raises:
            DivergedError: a loss is not finite.
        """
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device_of(batch).type, enabled=False),
        ):
            images = [self._fuse_one(_image(batch, i)) for i in range(len(batch["scene"]))]
            return torch.cat(images)

    def _fuse_one(self, image: dict[str, Any]) -> Tensor:
        mapped = self.values.into(image)
        inputs = {k: v.clone() for k, v in self._roles.take(mapped, self._bind, self.memory_format).items()}
        scene = str(image["scene"][0])
        device = device_of(image)
        with _seeded(self._key(scene), device):
            network = self._fresh(inputs).to(device=device, memory_format=self.memory_format)  # type: ignore[call-overload]
            fit = self._make_fit()
            fit.start(network.train(), inputs, _facts(image))
            self._carry_out(fit, scene)
            with torch.no_grad():
                output = fit.result().contiguous()
                self.estimates = {name: value.detach().cpu().clone() for name, value in fit.estimates().items()}
        return self.values.back(output, image)

    def _key(self, scene: str) -> int:
        """The number that a scene's randomness begins with, from (seed, scene)."""
        seed = int((self.facts.get("config") or {}).get("seed") or 0)
        return int.from_bytes(hashlib.sha256(f"{seed}/{scene}".encode()).digest()[:8], "big")

    def _fresh(self, inputs: Mapping[str, Tensor]) -> nn.Module:
        node = dict(self._network)
        named = inspect.signature(resolve_target(str(node["_target_"]))).parameters
        node |= {name: found(inputs) for name, found in SCENE_ARGUMENTS.items() if name in named}
        network: nn.Module = build(node, "model.module.network")
        if self.start is not None:
            network.load_state_dict(self.network.state_dict())
        return network

    def _carry_out(self, fit: SceneFit, scene: str) -> None:
        stages = list(fit.stages())
        self._steps = 0
        for number, stage in enumerate(stages, start=1):
            stage.begin()
            for step in range(stage.steps):
                worst, terms = _carry_out_step(stage, step)
                done = stage.done(step)
                if not worst.is_cuda or (step + 1) % LOOK == 0 or step + 1 == stage.steps or done:
                    loss = float(worst)
                    if not math.isfinite(loss):
                        raise DivergedError(
                            f"the fit of scene {scene} diverged: stage {stage.name}, step {step + 1}/{stage.steps}, "
                            f"the loss is {loss}. Scenes that were finished are kept. Smaller learning rates "
                            "(model.module.fit...) may help."
                        )
                self._steps += 1
                self._tell(number, len(stages), stage, step + 1, terms)
                if done:
                    break
            stage.end()

    # --- test ---

    def test_step(self, batch: dict[str, Any], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Fuse one scene, or take what an earlier, interrupted run kept of it, and hand it to the evaluator.

        The evaluator finds in the batch, beside the roles, what the fit estimated: ``estimated_srf`` [1,b,B] and so on.
        """
        if self.evaluator is None:
            raise ConfigError("evaluator: the regime tests with the data set's evaluator, and has none")
        sets: Any = self.trainer.datamodule.test_sets  # type: ignore[attr-defined]
        name, scene = sets[dataloader_idx], str(batch["scene"][0])
        folder = scene_folder(Path(self.trainer.default_root_dir), name, scene)
        kept = Kept(folder, self._fingerprint(batch))
        found = kept.read()
        if found is None:
            with self._watched(folder, batch_idx, dataloader_idx):
                started = self._clock()
                output = self.fuse(batch)
                found = kept.write(Fused(output, self._clock() - started, self._steps, self.estimates))
        self.facts.setdefault("training", {})["steps"] = found.steps
        told = {f"estimated_{key}": value[None] for key, value in found.estimates.items()}
        self.evaluator.observe(name, {**batch, **told}, found.image.to(device_of(batch)), found.seconds)

    def _fingerprint(self, batch: Mapping[str, Any]) -> str:
        """Of everything that a scene's result depends on: inputs, method, seed, starting weights."""
        range_ = (self.values.scale, self.values.offset, self.values.images, sorted(self.values.roles.items()))
        digest = hashlib.sha256(repr([self._network, self._fit, range_, self.facts.get("versions")]).encode())
        digest.update(str(self._key(str(batch["scene"][0]))).encode())
        tensors = self._roles.take(batch, self._bind, torch.contiguous_format)
        tensors |= self.network.state_dict() if self.start is not None else {}
        for name in sorted(tensors):
            digest.update(name.encode() + repr(tuple(tensors[name].shape)).encode())
            digest.update(np.ascontiguousarray(tensors[name].detach().cpu().numpy()).tobytes())
        return digest.hexdigest()

    @contextmanager
    def _watched(self, folder: Path, batch_idx: int, dataloader_idx: int) -> Iterator[None]:
        """Curves into the scene's folder, and the progress bar, while it is fitted."""
        logger = CsvLogger(str(folder))
        logger.truncate(-1)
        every = int(self.trainer.log_every_n_steps) or 1  # type: ignore[attr-defined]
        bars = next((c for c in self.trainer.callbacks if isinstance(c, Bars)), None)  # type: ignore[attr-defined]
        counts = [int(n) for n in self.trainer.num_test_batches]
        scene = f"scene {sum(counts[:dataloader_idx]) + batch_idx + 1}/{sum(counts)}"

        def tell(number: int, stages: int, stage: Stage, step: int, terms: Mapping[str, Tensor]) -> None:
            if step == 1 or step % every == 0 or step == stage.steps:
                values = {name: float(value) for name, value in terms.items()}
                logger.log_metrics({f"{stage.name}/{name}": value for name, value in values.items()}, self._steps)
                if bars is not None:
                    bars.fitting(f"{scene}, stage {number}/{stages}", step, stage.steps, values)

        self._tell = tell
        try:
            yield
        finally:
            self._tell = _silent
            if bars is not None:
                bars.fitted()


def _silent(number: int, stages: int, stage: Stage, step: int, terms: Mapping[str, Tensor]) -> None:
    return None


def _carry_out_step(stage: Stage, step: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The largest loss of a step (NaN where one is), and what the curves show."""
    worst = torch.zeros(())
    terms: dict[str, Tensor] = {}
    for update in stage.updates(step):
        _move(stage, update)
        loss = update.loss.detach()
        worst = torch.maximum(worst.to(loss), loss.abs())
        terms |= {name: value.detach() for name, value in update.terms.items()} or {"loss": loss}
    return worst, terms


def _move(stage: Stage, update: Update) -> None:
    own = [p for group in update.optimizer.param_groups for p in group["params"]]
    update.optimizer.zero_grad()
    update.loss.backward(inputs=own)
    stage.adjust(update)
    update.optimizer.step()


def _image(batch: Mapping[str, Any], i: int) -> dict[str, Any]:
    """One image of a batch without its reference; tensors that no inference mode has marked."""
    kept = {name: value for name, value in batch.items() if name not in NO_INPUTS}
    return {
        name: value[i : i + 1].clone() if isinstance(value, Tensor) else value[i : i + 1]
        for name, value in kept.items()
    }


def _facts(image: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of one image: words and single numbers, whichever it has."""
    numbers = {k: v.item() for k, v in image.items() if isinstance(v, Tensor) and v.ndim <= 1 and v.numel() == 1}
    return {k: str(v[0]) for k, v in image.items() if not isinstance(v, Tensor)} | numbers


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators; they are put back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
