"""Training steps through the whole framework beside a bare loop on preloaded tensors, each in its own process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from benchmarks.measure import Row

TITLE = "Training steps"
MODELS = ("pnn", "pannet", "fusionnet", "drpnn", "panformer")
WARM_UP, STEPS, TURNS = 10, 60, 3
# arm: (framework or bare loop, memory format, bf16 autocast, allocator kept as glibc has it)
ARMS: dict[str, dict[str, Any]] = {
    "framework": {"framework": True, "format": "channels_last", "bf16": False, "plain": False},
    "bare": {"framework": False, "format": "channels_last", "bf16": False, "plain": False},
    "bare, plain float32": {"framework": False, "format": "contiguous", "bf16": False, "plain": True},
    "bare, bf16": {"framework": False, "format": "channels_last", "bf16": True, "plain": False},
}


def run() -> list[Row]:
    """Milliseconds a step at batch 8, 64 px, 8 bands (the demo's)."""
    rows = []
    for model in MODELS:
        seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
        for _ in range(TURNS):
            for arm in ARMS:
                command = [sys.executable, "-m", "benchmarks.training", model, arm]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds[arm].append(json.loads(done.stdout.splitlines()[-1]))
        step = {arm: statistics.median(values) for arm, values in seconds.items()}
        bare, plain = step["bare"], step["bare, plain float32"]
        target = "0.97 where a step takes 20 ms or more, else 0.5 ms added"
        rows += [
            _row(f"{model}, framework", step["framework"], bare, "bare loop, same settings", target),
            _row(f"{model}, bare loop with our settings", bare, plain, "plain float32 loop"),
            _row(f"{model}, bare loop with bf16 too", step["bare, bf16"], plain, "plain float32 loop", "1.5"),
        ]
    return rows


def _row(what: str, ours: float, reference: float, against: str, target: str = "") -> Row:
    return Row(what, 1e3 * ours, 1e3 * reference, against, reference / ours, "ms", target)


def measure(model: str, arm: str) -> float:
    """Median seconds of a step of one arm, in this process."""
    from fusionbench.app import compose, machine
    from fusionbench.building import build

    settings = ARMS[arm]
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"model={model}", "data=worldview3", "data.source=simulated", f"paths.run={folder}/run"]
        overrides += [f"trainer.max_steps={WARM_UP + STEPS}", "trainer.val_every=1000", "trainer.checkpoint_every=1000"]
        overrides += ["data.simulation.train=[101]", "data.simulation.val=[]", "data.simulation.test=[]"]
        cfg = compose.composed("train", overrides)
        config = compose.resolved(cfg, {"model": model, "data": "worldview3", "recipe": "demo"}, Path(folder) / "run")
        if not settings["plain"]:
            machine.prepare(config)
        torch.manual_seed(0)
        datamodule = build(config["data"]["module"])
        regime = build(config["model"]["module"])
        regime.use_memory_format(settings["format"])
        if settings["framework"]:
            return _framework(regime, datamodule, config, Path(folder) / "run")
        datamodule.setup("fit")
        batches = [batch for batch, _ in zip(datamodule.train_dataloader(), range(8), strict=False)]
        return _bare(regime, batches, settings["bf16"])


def _framework(regime: Any, datamodule: Any, config: dict[str, Any], folder: Path) -> float:
    from fusionbench.building import build
    from fusionbench.regimes.checkpoint import checkpoint_facts
    from fusionbench.regimes.training import build_trainer

    evaluator = build(config["evaluator"])
    regime.attach(evaluator, checkpoint_facts(config))
    folder.mkdir()
    clock = Clock()
    trainer = build_trainer(config, folder, evaluator.monitor)
    trainer.callbacks.insert(0, clock)
    trainer.fit(regime, datamodule=datamodule)
    return clock.median()


def _bare(regime: Any, batches: list[dict[str, Any]], bf16: bool) -> float:
    network, loss = regime.network.train(), regime.loss
    optimizer = regime.configure_optimizers()
    optimizer = optimizer["optimizer"] if isinstance(optimizer, dict) else optimizer
    clock = Clock()
    for step in range(WARM_UP + STEPS):
        batch = batches[step % len(batches)]
        clock.tick()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = network(batch["lr"].contiguous(memory_format=regime.memory_format), batch["guide"])
        outputs = output if isinstance(output, dict) else {"output": output}
        value, _ = loss(
            {key: item.float() for key, item in outputs.items()}, batch, border=regime.loss_border, step=step
        )
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), regime.clip_norm or 1e9)
        optimizer.step()
    return clock.median()


class Clock(pl.Callback):
    """Times between the starts of steps."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def tick(self) -> None:
        """A step starts."""
        self.ticks.append(time.perf_counter())

    def on_train_batch_start(self, *_: Any) -> None:
        """Lightning starts a step."""
        self.tick()

    def median(self) -> float:
        """Seconds of a step, the first ones left out."""
        times = self.ticks[WARM_UP:]
        return statistics.median(after - before for before, after in pairwise(times))


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(measure(sys.argv[1], sys.argv[2]))}\n")
