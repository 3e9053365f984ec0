"""From the command line to a resolved configuration, with Hydra. Torch-free."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir, initialize_config_module, main
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from fusionbench.app import catalogue
from fusionbench.data.locate import resolve_source
from fusionbench.data.resolvers import register_resolvers
from fusionbench.errors import ConfigError, UserError

# what the result of a run does not depend on: left out of its fingerprint
_NOT_THE_RESULT = ("hydra", "paths", "logger", "tags", "run", "accept_old")
# the last three: up to rounding
_NOT_THE_RESULT_TRAINER = ("progress", "log_every_n_steps", "profiler", "threads", "devices", "num_nodes")
_NOT_THE_RESULT_DATA = ("workers", "transfer", "truth")  # truth follows the evaluator
# groups to be named on the command line
_REQUIRED = {"train": ("model", "data")}


def run_hydra(name: str, job: Callable[[DictConfig], Any], arguments: Sequence[str]) -> None:
    """Give a command line to Hydra: overrides, ``-m``, ``--cfg job``, ``--info``.

    Args:
        name: root configuration, ``train`` or ``evaluate``.
        job: called once per run with the composed configuration.
        arguments: everything behind the verb.

    Raises:
        ConfigError: what Hydra or OmegaConf find wrong, said shortly.
    """
    register()
    _check_names(arguments)
    _check_chosen(name, arguments)
    full, argv = os.environ.get("HYDRA_FULL_ERROR"), sys.argv
    # Hydra then raises instead of printing and leaving with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"fusionbench {name}", *_deferred(arguments)]
    try:
        main(config_path=catalogue.config_root(), config_name=name, version_base="1.3")(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error) from error
    finally:
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full


def composed(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a root configuration outside Hydra's command line (checks, lists, tests, transfer), also within a job.

    Raises:
        ConfigError: what Hydra or OmegaConf find wrong, said shortly.
    """
    register()
    root = catalogue.config_root()
    hydra = GlobalHydra.instance()
    running = hydra.hydra  # of the job that this is called in, if any
    hydra.clear()
    context: Any
    if root.startswith("pkg://"):
        context = initialize_config_module(root.removeprefix("pkg://"), version_base="1.3", job_name=name)
    else:
        context = initialize_config_dir(root, version_base="1.3", job_name=name)
    try:
        with context:
            return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error) from error
    finally:
        GlobalHydra.instance().hydra = running


def register() -> None:
    """Register the resolvers that configurations use; repeated calls are harmless."""
    register_resolvers()
    OmegaConf.register_new_resolver("fusionbench.run_name", _run_name, replace=True)


def resolved(cfg: DictConfig, choices: Mapping[str, Any], run_dir: Path) -> dict[str, Any]:
    """The plain configuration that a worker starts from: sources settled, paths absolute, every reference filled in.

    Args:
        cfg: what Hydra composed.
        choices: option chosen per group (``model``, ``data``, ``recipe``).
        run_dir: the run folder.

    Raises:
        ConfigError: a value is missing or refers to nothing.
        DataNotFoundError: ``source=files`` and no files.
    """
    cfg = cfg.copy()
    try:
        with open_dict(cfg):
            for key, value in cfg.paths.items():
                if key != "run":
                    cfg.paths[key] = str(Path(str(value)).expanduser().absolute())
            cfg.paths.run = str(run_dir.absolute())
            _settle(cfg)
        _check_missing(cfg)
        neutral = _neutral(cfg)
        plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explained(error) from error
    run = {"name": run_dir.name, **{key: choices.get(key) for key in ("model", "data", "recipe")}}
    run["fingerprint"] = fingerprint(neutral)
    # equal for runs that differ in nothing but the seed
    run["settings"] = fingerprint(neutral | {"seed": None, "data": _without_seed(neutral["data"])})
    return dict(plain) | {"run": run}


def _without_seed(data: Mapping[str, Any]) -> dict[str, Any]:
    module = data.get("module")
    return dict(data) | ({"module": dict(module) | {"seed": None}} if isinstance(module, Mapping) else {})


def _settle(cfg: DictConfig) -> None:
    if OmegaConf.select(cfg, "data.source") is not None:
        with open_dict(cfg):
            cfg.data = OmegaConf.merge(cfg.data, resolve_source(cfg))


def _check_missing(cfg: DictConfig) -> None:
    missing = sorted(str(key) for key in OmegaConf.missing_keys(cfg))
    if missing:
        raise ConfigError(f"{missing[0]} has no value; give one: {missing[0]}=...")


def fingerprint(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of everything in a plain configuration that decides the result."""
    kept = {key: value for key, value in config.items() if key not in _NOT_THE_RESULT}
    if isinstance(kept.get("trainer"), Mapping):
        kept["trainer"] = _without(kept["trainer"], _NOT_THE_RESULT_TRAINER)
    if isinstance(kept.get("data"), Mapping):
        kept["data"] = _without(kept["data"], _NOT_THE_RESULT_DATA)
        if isinstance(kept["data"].get("module"), Mapping):
            kept["data"]["module"] = _without(kept["data"]["module"], _NOT_THE_RESULT_DATA)
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _without(node: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in keys}


def _run_name(base: str | None = None, *, _root_: DictConfig) -> str:
    """``<model>-<data>[-simulated]-s<seed>-<fingerprint>``, with a counter where ``base`` has that folder already.

    Without ``base`` no counter: the same run of a continued sweep has the same folder. Never raises: what is wrong with
    a configuration is told by the job, as a row of the sweep.
    """
    choices = dict(_root_.hydra.runtime.choices)
    simulated, mark = False, "invalid"
    with contextlib.suppress(UserError, OmegaConfBaseException):
        neutral = _neutral(_root_)
        simulated, mark = bool(neutral["data"].get("simulated")), fingerprint(neutral)
    checkpoint = OmegaConf.select(_root_, "ckpt") if "ckpt" in _root_ else None
    subject = str(choices.get("model") or "model") if checkpoint is None else f"{_checkpoint_name(str(checkpoint))}-on"
    parts = [subject, str(choices.get("data") or "data")]
    parts += ["simulated"] * simulated
    parts += [f"s{OmegaConf.select(_root_, 'seed')}", mark] if checkpoint is None else [mark]
    name = "-".join(plain_name(part) for part in parts)
    return name if base is None else free_name(Path(base), name)


def _checkpoint_name(path: str) -> str:
    file = Path(path)
    return file.parents[1].name if file.parent.name == "checkpoints" and len(file.parents) > 1 else file.stem


def _neutral(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration with the machine's paths replaced by their names."""
    cfg = cfg.copy()
    with open_dict(cfg):
        _settle(cfg)
        cfg.pop("hydra", None)
        cfg.paths = {key: key for key in cfg.paths}
        if OmegaConf.select(cfg, "data.root") is not None:
            cfg.data.root = "root"
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return dict(plain)


def plain_name(text: str) -> str:
    """A name that can be typed as an override: no ``=``, ``,`` or space."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_") or "run"


def free_name(base: Path, name: str) -> str:
    """``name``, or ``name-2``, ``name-3``, ... where the folder has it already: no run writes into another's folder."""
    if not (base / name).exists():
        return name
    counter = 2
    while (base / f"{name}-{counter}").exists():
        counter += 1
    return f"{name}-{counter}"


def choices() -> dict[str, Any]:
    """Option chosen per group in the running Hydra job."""
    return {str(key): value for key, value in HydraConfig.get().runtime.choices.items()}


def explained(error: Exception) -> ConfigError:
    """A ConfigError that says in a few lines what Hydra or OmegaConf found wrong."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return catalogue.unknown(group, name, [option for option in error.options if not option.startswith("_")])
    if isinstance(error, OverrideParseException):
        return ConfigError(f"{error.override}: cannot be read as key=value ({_first_line(error)})")
    text = _first_line(error)
    if isinstance(error, ConfigCompositionException):
        missing = re.search(r"You must specify '([^']+)'", str(error))
        if missing is not None:
            known = ", ".join(sorted(catalogue.options(missing[1], catalogue.search_path())))
            return ConfigError(f"{missing[1]} is not given: {missing[1]}=<name>\n  Available: {known}")
        if error.__cause__ is not None and "Could not override" in text:
            parent: Any = getattr(error.__cause__, "parent_node", None)
            there = f"; there are {', '.join(map(str, parent))}" if isinstance(parent, DictConfig) and parent else ""
            return ConfigError(f"{text}\n  {_first_line(error.__cause__)}{there}")
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(f"{getattr(error, 'full_key', None) or 'a key'} has no value; give one on the command line")
    if isinstance(error, OmegaConfBaseException) and getattr(error, "full_key", None):
        return ConfigError(f"{error.full_key}: {text}")
    return ConfigError(text)


def _first_line(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
        if lines:
            return lines[0]
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _check_names(arguments: Sequence[str]) -> None:
    """Names of options, sweeps included, before anything runs: a typo must not show hours later."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    path = catalogue.search_path(arguments)
    for text in arguments:
        group = text.partition("=")[0]
        known = catalogue.options(group, path) if group.isidentifier() else {}
        if not known:
            continue
        try:
            (override,) = OverridesParser.create().parse_overrides([text])
        except HydraException as error:
            raise explained(error) from error
        values = override.sweep_string_iterator() if override.is_sweep_override() else [override.value()]
        for name in values:
            if name is not None and str(name) not in (*known, "null"):
                raise catalogue.unknown(group, str(name), known)


def _deferred(arguments: Sequence[str]) -> list[str]:
    """Arguments such that a sweep's runs get all of them, and Hydra's own composition before them none it cannot take.

    Before a sweep Hydra composes once without the swept choices, and refuses ``model.x=1`` where ``model`` is one of
    them. What is itself a sweep waits for the runs, and a choice of one is a sweep.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not {"-m", "--multirun"} & set(arguments):
        return list(arguments)
    found = []
    for text in arguments:
        key, equals, value = text.partition("=")
        plain = (
            equals
            and value
            and not text.startswith(("-", "~"))
            and not key.lstrip("+").startswith(("hydra.", "hydra/", "paths."))
        )
        if plain and not OverridesParser.create().parse_override(text).is_sweep_override():
            text = f"{key}=choice({value})"
        found.append(text)
    return found


def _check_chosen(name: str, arguments: Sequence[str]) -> None:
    """Groups that a root configuration leaves open and whose choice other defaults name (``schedule: .../${model}``).

    Such a group defaults to null instead of ???: in a sweep, Hydra also resolves those defaults before any choice.
    """
    given = {text.partition("=")[0]: text.partition("=")[2] for text in arguments}
    for group in _REQUIRED.get(name, ()):
        if given.get(group) in (None, "", "null"):
            known = ", ".join(sorted(catalogue.options(group, catalogue.search_path(arguments))))
            raise ConfigError(f"{group} is not given: {group}=<name>\n  Available: {known}")


register()  # on import, for processes that a launcher starts: they compose before any verb is called
