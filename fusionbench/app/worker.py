"""The work of a run folder, from its ``config.yaml``: train or load, test, write what the run leaves behind.

``python -m fusionbench.app.worker <run folder> [--allow=<package> ...]``: the same command starts every process of a
run on several devices, a job of a sweep, and a resumed run.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from fusionbench.app import compose, machine, screen
from fusionbench.app import folder as folders
from fusionbench.app.termination import Terminated, Termination
from fusionbench.building import allow_packages, build
from fusionbench.data.resolvers import register_resolvers
from fusionbench.errors import ConfigError, DataNotFoundError, PrunedError, RefusedError, UserError
from fusionbench.evaluation.facts import RunFacts, run_facts
from fusionbench.evaluation.schema import Metrics, Training, write_environment
from fusionbench.evaluation.table import final_table
from fusionbench.regimes.base import Regime
from fusionbench.regimes.checkpoint import at_ratio, check_data, checkpoint_facts, rebuild
from fusionbench.regimes.logger import CURVES
from fusionbench.regimes.training import build_trainer


def work(folder: Path, allow: list[str]) -> int:
    """Do the work of a run folder and write how it ended into ``status.json``; nothing is raised.

    Args:
        folder: holds ``config.yaml``; an interrupted run continues there.
        allow: own packages that a ``_target_`` may name.

    Returns:
        Exit code: 0; 2 for a mistake of the user; 1 for a crash; 130 after Ctrl-C; 143 after SIGTERM.
    """
    if not first_process():
        return _follow(folder, allow)
    config: dict[str, Any] = {}
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        with folders.alone(folder), Termination() as termination:
            config = folders.read_config(folder)
            try:
                folders.set_status(folder, "running", None, None, config)
                (folder / folders.CRASH).unlink(missing_ok=True)
                _run(folder, config, allow, termination)
                state, reason, code = "finished", None, 0
            except PrunedError as error:
                screen.say(str(error))
                state, reason, code = "pruned", str(error), 0
            except UserError as error:
                screen.error(str(error))
                state, reason, code = ("skipped" if isinstance(error, RefusedError) else "failed"), str(error), 2
            except Terminated:
                state, reason, code = "interrupted", "SIGTERM", 143
            except (KeyboardInterrupt, SystemExit):  # the trainer turns Ctrl-C into SystemExit
                state, reason, code = "interrupted", "Ctrl-C", 130
            except Exception as error:
                state, reason, code = "failed", _crashed(folder, error), 1
            folders.set_status(folder, state, reason, code, config)
            if state == "interrupted":
                screen.say(f"interrupted ({reason}); continue with: train.py resume={folder}")
            return code
    except UserError as error:
        screen.error(str(error))
        return 2
    except Terminated:
        return 143
    finally:
        if signal.getsignal(signal.SIGINT) != interrupt:  # the trainer ignores it after Ctrl-C
            signal.signal(signal.SIGINT, interrupt)


def _follow(folder: Path, allow: list[str]) -> int:
    """One of the other processes of a run: works along, says and writes nothing."""
    try:
        with Termination() as termination:
            _run(folder, folders.read_config(folder), allow, termination)
    except Terminated:
        return 143
    except UserError:
        return 2
    return 0


def first_process() -> bool:
    """Whether this is the process that speaks and writes for a run."""
    return all(os.environ.get(key, "0") == "0" for key in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def _crashed(folder: Path, error: Exception) -> str:
    text = "".join(traceback.format_exception(error))
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    path = folder / folders.CRASH
    try:
        path.write_text(text, encoding="utf-8")
        screen.error(f"{reason}\n  This should not have happened; the traceback is in {path}")
    except OSError:
        screen.error(text)
    return reason


def _run(folder: Path, config: dict[str, Any], allow: list[str], termination: Termination) -> None:
    started = time.perf_counter()
    allow_packages(allow)
    register_resolvers()
    machine.prepare(config)
    pl.seed_everything(int(config.get("seed") or 0), verbose=False)
    if first_process() and config["data"].get("simulated"):
        screen.say(simulated_notice(config))
    datamodule = build(config["data"]["module"], "data.module")
    evaluator = build(config["evaluator"], "evaluator")
    if config.get("ckpt") is None:
        regime = build(config["model"]["module"], "model.module")
        if not isinstance(regime, Regime):
            raise ConfigError(f"model.module: {type(regime).__name__} is no regime (fusionbench.regimes)")
        regime.attach(evaluator, checkpoint_facts(config))
    else:
        regime = rebuild(str(config["ckpt"]))
        check_data(regime.facts, config["data"], str(config["ckpt"]))
        regime.attach(evaluator, regime.facts)
    regime.use_memory_format(str(config["trainer"].get("memory_format", "channels_last")))
    trainer = build_trainer(config, folder, evaluator.monitor, lambda: termination.asked)
    if config.get("ckpt") is None:
        with termination.deferred():
            best = regime.learn(trainer, datamodule, folder, resume=True)
    else:
        best = Path(str(config["ckpt"]))
    metrics = test(regime, trainer, datamodule, evaluator, folder, config, started)
    if metrics is not None:
        screen.show(final_table(metrics), f"report: {folder / 'report.html'}\ncheckpoint: {best}")
        for entry in config["data"].get("transfer") or ():
            try:
                _transfer(folder, config, entry, best)
            except UserError as error:  # the run itself is done
                screen.error(f"transfer to {entry['data']}: {error}")


def simulated_notice(config: Mapping[str, Any]) -> str:
    """What a person must know before looking at any number of simulated data."""
    card, paths = config["data"].get("card") or {}, config.get("paths") or {}
    name = card.get("id", "")
    if not card.get("collections"):
        return f"The data are simulated ({card.get('name', name)}): every number below is about simulated scenes."
    return (
        f"The data are simulated: no real {card.get('name', name)} images are used, and every number below is about "
        f"simulated scenes.\n  With real ones in {paths.get('data')} (paths.data=<folder>) the same command uses them; "
        f"`fusionbench data check {name}` says what goes there, data.source=files never simulates."
    )


def test(
    regime: Regime,
    trainer: pl.Trainer,
    datamodule: Any,
    evaluator: Any,
    folder: Path,
    config: Mapping[str, Any],
    started: float,
) -> Metrics | None:
    """Test a regime on all test sets and write the artefacts; the metrics on the first process, else None.

    Args:
        regime: with its best weights.
        trainer, datamodule, evaluator: of the run.
        folder: gets the artefacts.
        config: of the run that tests.
        started: ``perf_counter`` when the work began.
    """
    card = regime.facts.get("card") or {}
    trainer.strategy.barrier()
    kind = str(card.get("kind") or ("classical" if card.get("regime") == "classical" else "network"))
    evaluator.prepare(datamodule, regime.fuse, lambda ratio: at_ratio(regime, ratio).fuse)
    evaluator.begin(datamodule.test_sets, folder, method=str(card.get("id") or "method"), kind=kind)
    trainer.test(regime, datamodule=datamodule, verbose=False)
    environment = machine.environment(config, datamodule.fingerprint, time.perf_counter() - started)
    metrics: Metrics | None = evaluator.finish(folder, _facts(regime, folder, config, datamodule, environment))
    if trainer.is_global_zero:
        write_environment(folder, environment)
    return metrics


def _facts(regime: Regime, folder: Path, config: Mapping[str, Any], datamodule: Any, environment: Any) -> RunFacts:
    known, told = {field.name for field in fields(Training)}, regime.facts.get("training") or {}
    training = Training(**{key: value for key, value in told.items() if key in known and value is not None})
    curves = folder / CURVES
    return run_facts(
        config,
        trained=regime.facts.get("config") if config.get("ckpt") is not None else None,
        card=regime.facts.get("card"),
        training=training,
        parameters=sum(p.numel() for p in regime.network.parameters() if p.requires_grad),
        fingerprint=datamodule.fingerprint,
        environment=environment,
        log=curves if curves.is_file() else None,
        peak_memory_mb=machine.peak_memory_mb(),
    )


def _transfer(folder: Path, config: Mapping[str, Any], entry: Mapping[str, Any], checkpoint: Path) -> None:
    """Test the checkpoint of a simulated run on real images of another data set, where they are present."""
    if not config["data"].get("simulated"):
        return
    name = str(entry["data"])
    settings = {"source": "files", "split.by": "test"} | {k: v for k, v in entry.items() if k != "data"}
    target = folder / "transfer" / name
    overrides = [f"data={name}", *(f"data.{key}={value}" for key, value in settings.items())]
    overrides += [f"paths.{key}={value}" for key, value in (dict(config["paths"]) | {"run": target}).items()]
    cfg = compose.composed("evaluate", overrides)
    cfg.ckpt, cfg.trainer, cfg.seed = str(checkpoint), config["trainer"], config.get("seed")
    choices = {"model": config["run"].get("model"), "data": name, "recipe": config["run"].get("recipe")}
    try:
        other = compose.resolved(cfg, choices, target)
    except DataNotFoundError:
        return
    folders.write_config(target, other)
    started = time.perf_counter()
    regime = rebuild(checkpoint)
    datamodule, evaluator = build(other["data"]["module"], "data.module"), build(other["evaluator"], "evaluator")
    check_data(regime.facts, other["data"], checkpoint)
    regime.attach(evaluator, regime.facts)
    regime.use_memory_format(str(config["trainer"].get("memory_format", "channels_last")))
    trainer = build_trainer(other, target, evaluator.monitor)
    metrics = test(regime, trainer, datamodule, evaluator, target, other, started)
    if metrics is not None:
        screen.show(f"the same checkpoint on real images of {name}:", final_table(metrics))


def _show_fingerprint(folder: Path, allow: list[str]) -> int:
    """Print the fingerprint that a run's data have now, for a sweep that is continued."""
    try:
        allow_packages(allow)
        register_resolvers()
        print(build(folders.read_config(folder)["data"]["module"], "data.module").fingerprint)  # noqa: T201
    except UserError as error:
        screen.error(str(error))
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of a process of its own."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    allow = [text.removeprefix("--allow=") for text in given if text.startswith("--allow=")]
    folder = next(iter(text for text in given if not text.startswith("--")), None)
    if folder is None:
        screen.error("python -m fusionbench.app.worker <run folder> [--allow=<package>]")
        return 2
    if "--fingerprint" in given:
        return _show_fingerprint(Path(folder), allow)
    code = work(Path(folder).absolute(), allow)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return code


if __name__ == "__main__":
    sys.exit(main())
