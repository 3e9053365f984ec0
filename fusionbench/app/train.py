"""The verb ``train``: compose, check, write the resolved configuration, start the worker. Torch-free until then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fusionbench.app import catalogue, check, compose, screen, sweep
from fusionbench.app import folder as folders
from fusionbench.app.start import start
from fusionbench.errors import ConfigError, DataError, RefusedError, UserError

Check = Callable[[dict[str, Any], Sequence[str]], None]


def train(arguments: Sequence[str]) -> int:
    """``fusionbench train model=.. data=.. [key=value ...] [-m]`` or ``fusionbench train resume=<run folder>``.

    Returns:
        Exit code: 0, 1 for a crash, 143 after SIGTERM; a sweep's as in ``sweep.finish``.

    Raises:
        UserError: what is wrong with the command line or the data, exit code 2.
    """
    given = [text for text in arguments if text.startswith("resume=")]
    if given:
        return resume(given[-1].removeprefix("resume="), [text for text in arguments if text not in given])
    return run("train", check.check_run, arguments)


def resume(folder: str, others: Sequence[str] = ()) -> int:
    """Continue a run from its own resolved configuration, in its own folder.

    Raises:
        ConfigError: no run folder, or further arguments that a resumed run would not heed.
    """
    path = Path(folder).expanduser().absolute()
    swept = sweep.command(path)
    if swept is not None:
        return _resume_sweep(*swept, others)
    allowed = [text for text in others if text.startswith("allow_packages=")]
    if len(allowed) != len(others):
        odd = next(text for text in others if text not in allowed)
        raise ConfigError(
            f"{odd}: a resumed run takes everything from its own {folders.CONFIG}; leave it out, or start a new run"
        )
    config = folders.read_config(path)
    status = folders.status(path)
    if status is not None and status.state == "finished":
        screen.say(f"{path}: this run is finished, there is nothing to resume; its report is {path / 'report.html'}")
        return 0
    # A file must not widen what may be built: own packages are named again.
    config["allow_packages"] = _packages(allowed)
    check.check_folder(path)
    return start(path, config, separate=False)


def _resume_sweep(verb: str, arguments: list[str], others: Sequence[str]) -> int:
    """Give a sweep's command line again: runs that are finished are left as they are, others continue or start."""
    odd = [text for text in others if text.partition("=")[0] not in ("accept_old", "allow_packages")]
    if odd:
        raise ConfigError(f"{odd[0]}: a resumed sweep takes accept_old and allow_packages only; start a new one")
    if verb == "train":
        return run(verb, check.check_run, [*arguments, *others])
    from fusionbench.app.evaluate import evaluate

    return evaluate([*arguments, *others])


def _packages(arguments: Sequence[str]) -> list[str]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    found: list[str] = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        value = override.value()
        found += [str(name) for name in (value if isinstance(value, list) else [value])]
    return found


def run(root: str, checks: Check, arguments: Sequence[str]) -> int:
    """Give a command line to Hydra and run what it composes, once or as a sweep; the exit code."""
    sweep.begin(root, arguments)
    codes: list[int] = []
    failures: list[UserError | OSError] = []

    def job(cfg: DictConfig) -> None:
        try:
            codes.append(_job(cfg, checks, arguments))
        except (UserError, OSError) as error:  # raised behind Hydra, which would print a line of its own
            failures.append(error)

    try:
        compose.run_hydra(root, job, arguments)
        if failures:
            raise failures[0]
    except UserError:  # some are an OSError too
        raise
    except OSError as error:
        raise check.unwritable(error.filename or "the output folder", error) from error
    finally:
        folder = sweep.current()
        code = sweep.finish(folder) if folder is not None and folder.is_dir() else None
    return code if code is not None else max(codes, default=0)


def _job(cfg: DictConfig, checks: Check, arguments: Sequence[str]) -> int:
    hydra = HydraConfig.get()
    folder, sweeping = Path(hydra.runtime.output_dir), hydra.mode == RunMode.MULTIRUN
    config: dict[str, Any] = {"run": compose.choices(), "seed": OmegaConf.select(cfg, "seed")}
    if sweeping:
        screen.say(f"run {hydra.job.num + 1}: {folder.name}")
    try:
        check.check_cards(cfg, compose.choices(), catalogue.search_path(arguments))
        config = compose.resolved(cfg, compose.choices(), folder)
        checks(config, catalogue.search_path(arguments))
        if sweeping and _finished(folder, config):
            screen.say(f"finished before: {folder.name}")
            return 0
        check.check_folder(folder)
        folders.write_config(folder, config)
    except (UserError, OSError) as error:
        if not sweeping:
            folders.discard(folder)
            raise
        with contextlib.suppress(OSError, DataError):
            state = "skipped" if isinstance(error, RefusedError) else "failed"
            folders.set_status(folder, state, str(error), 2, config)
        screen.error(str(error))
        return 2
    code = start(folder, config, separate=sweeping)
    if sweeping and code in (130, 143):
        raise SystemExit(code)  # the person or the cluster wants the sweep to end, not only this run
    return code


def _finished(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether a run of a continued sweep is finished and would come out the same; one that would not is moved aside.

    The folder's name holds the configuration's fingerprint.
    """
    status = folders.status(folder)
    if status is None or status.state != "finished":
        return False
    allow = [str(name) for name in config.get("allow_packages") or ()]
    changed = sweep.changed(folder, bool(config.get("accept_old")), allow)
    if changed is None:
        return True
    aside = folders.move_aside(folder)
    screen.say(f"run again: {folder.name} ({changed}; the old result now lies in {aside.name})")
    return False
