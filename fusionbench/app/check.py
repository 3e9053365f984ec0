"""What can be refused in a second: roles, constraints, schedules, values, output folder. Reads cards, torch-free."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fusionbench.app import catalogue
from fusionbench.errors import ConfigError, DataError, RefusedError

Config = Mapping[str, Any]

FREE_BYTES = 300 * 2**20  # two checkpoints, figures and a report
_WHOLE = {"seed": 0, "data.batch_size": 1, "data.patch": 1, "data.workers": 0, "trainer.log_every_n_steps": 1}
_WHOLE_OR_NULL = {
    "trainer.max_steps": 1,
    "trainer.max_epochs": 1,
    "trainer.val_every": 1,
    "trainer.checkpoint_every": 1,
    "trainer.threads": 1,
}


def check_run(config: Config, path: Sequence[str]) -> None:
    """Refuse a training run that cannot work.

    Args:
        config: plain resolved configuration.
        path: search path of configs, for what would fit instead.

    Raises:
        RefusedError: the model and the data do not fit each other.
        ConfigError: a value is of the wrong kind, or ``recipe=paper`` has no schedule.
    """
    check_values(config)
    check_pair(config, path)
    check_recipe(config, path)


def check_values(config: Config) -> None:
    """Kinds and ranges of the numbers people type.

    Raises:
        ConfigError: key, value and what would be right.
    """
    for key, least in (_WHOLE | _WHOLE_OR_NULL).items():
        found, value = _find(config, key)
        if not found or (value is None and key in _WHOLE_OR_NULL):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(
                f"{key}={value}: a whole number of at least {least}" + (" or null" if key in _WHOLE_OR_NULL else "")
            )
    data = config.get("data") or {}
    patch, ratio = data.get("patch"), data.get("ratio")
    if isinstance(patch, int) and isinstance(ratio, int) and patch % ratio:
        raise ConfigError(f"data.patch={patch}: target px, a multiple of the ratio {ratio}")


def _find(config: Config, key: str) -> tuple[bool, Any]:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False, None
        node = node[part]
    return True, node


def check_pair(config: Config, path: Sequence[str]) -> None:
    """Refuse a model that cannot take this data set's roles or sizes, naming what would fit.

    Raises:
        RefusedError: with the reason, the models that fit the data and the data sets that fit the model.
    """
    model, data, run = config["model"]["card"], config["data"], config["run"]
    reason = mismatch(model, data)
    if reason is None and data.get("trainable") is False and model.get("regime") not in ("classical", "per_scene"):
        reason = f"collection {data.get('collection')} holds test images only, and {run['model']} has to be trained"
        reason += "; evaluate a trained one: evaluate.py ckpt=<checkpoint> data=" + str(run["data"])
        raise RefusedError(f"model={run['model']} cannot be trained on data={run['data']}: {reason}")
    if reason is None:
        return
    models = [name for name, card in catalogue.cards("model", path).items() if mismatch(card, data) is None]
    sets = [name for name, body in catalogue.bodies("data", path).items() if mismatch(model, settled(body)) is None]
    raise RefusedError(
        f"model={run['model']} cannot take data={run['data']}: {reason}\n"
        f"  Models that fit data={run['data']}: {', '.join(models) or 'none'}\n"
        f"  Data sets that fit model={run['model']}: {', '.join(sets) or 'none'}"
    )


def check_cards(composed: Any, chosen: Config, path: Sequence[str]) -> None:
    """`check_pair` before references are filled in: a model that refers to a role the data lack is refused as such.

    Args:
        composed: what Hydra composed.
        chosen: option per group.
        path: search path of configs.
    """
    model, data = composed.get("model"), composed.get("data")
    if model is None or data is None or "card" not in model or "card" not in data:
        return
    card: Any = OmegaConf.to_container(model.card, resolve=False)
    body: Any = OmegaConf.to_container(data, resolve=False)
    check_pair({"model": {"card": card}, "data": settled(body), "run": chosen}, path)


def settled(body: Config) -> dict[str, Any]:
    """Roles, channels, ratio and the like of a data set read from its file, without composing it."""
    tree = OmegaConf.create({key: value for key, value in body.items() if key not in ("module", "mtf")})
    facts: dict[str, Any] = {"card": body.get("card", {})}
    for key in ("channels", "ratio", "patch", "classes", "endmembers", "references", "variable"):
        with contextlib.suppress(OmegaConfBaseException):  # what cannot be read here is not judged here
            node = OmegaConf.select(tree, key)
            facts[key] = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return facts


def mismatch(model: Config, data: Config) -> str | None:
    """Why a model cannot take a data set, or None where it can.

    Args:
        model: the model's card: ``roles``, ``bind``, ``constraints``.
        data: the data configuration: ``card.roles``, ``channels``, ``ratio``, ``patch``.
    """
    offered = list(data.get("card", {}).get("roles") or ())
    required = list((model.get("roles") or {}).get("required") or ())
    bind = {role: role for role in required} | dict(model.get("bind") or {})
    told = list(data.get("card", {}).get("provides") or ())  # srf, psf and the like
    absent = [role for role in required if bind[role] not in [*offered, *told]]
    if absent:
        return f"it needs {_words(bind[role] for role in absent)}, the data set has {_words(offered)}"
    channels, ratio = data.get("channels") or {}, data.get("ratio")
    limits = model.get("constraints") or {}
    tasks, task = limits.get("tasks"), data.get("card", {}).get("task")
    if tasks and task not in tasks:
        return f"it is for {_words(tasks, 'or')}, the data set for {task}"
    spans = {role: limits[key] for key, role in (("bands", "lr"), ("guide_bands", "guide")) if limits.get(key)}
    for role, (low, high) in (spans | dict(limits.get("channels") or {})).items():
        count = channels.get(bind.get(role, role))
        if isinstance(count, int) and (count < low or (high is not None and count > high)):
            span = f"{low}" if low == high else (f"{low} to {high}" if high is not None else f"at least {low}")
            return f"it takes {span} band(s) of {role}, the data set has {count}"
    ratios = limits.get("ratio", "any")
    if ratios != "any" and ratio is not None and ratio not in ratios:
        return f"it works at ratio {_words(map(str, ratios), 'or')}, the data set has {ratio}"
    for key, allowed in (limits.get("requires") or {}).items():
        if key in data and data[key] not in allowed:
            return f"it needs {key} {_words(map(str, allowed), 'or')}, the data set has {data[key]}"
    multiple = limits.get("size_multiple")
    if multiple and isinstance(data.get("patch"), int) and data["patch"] % multiple:
        return f"it needs sizes that are a multiple of {multiple} px, data.patch is {data['patch']}"
    provided = [*offered, *told, *(key for key in data if key not in ("card",))]
    needs = [need for need in limits.get("needs") or () if need not in provided]
    return f"it needs {_words(needs)}, which the data set does not provide" if needs else None


def _words(names: Any, joint: str = "and") -> str:
    names = list(names)
    return f" {joint} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) if names else "nothing"


def check_recipe(config: Config, path: Sequence[str]) -> None:
    """``recipe=paper`` needs the method's published length: Hydra is silent where its file is missing.

    Raises:
        ConfigError: naming the methods that have one.
    """
    run = config["run"]
    recipe = run.get("recipe")
    if recipe in (None, "demo") or config["model"]["card"].get("regime") == "classical":
        return
    known = catalogue.options(f"schedule/{recipe}", path)
    pairs = catalogue.options(f"pair_schedule/{recipe}", path)
    if run["model"] in known or f"{run['model']}_on_{run['data']}" in pairs:
        return
    raise ConfigError(
        f"recipe={recipe}: there is no published schedule for model={run['model']}"
        f" (schedule/{recipe}/{run['model']}.yaml)\n"
        f"  There is one for: {', '.join(sorted({*known, *pairs})) or 'none'}; or use recipe=demo"
    )


def check_folder(folder: Path, free_bytes: int = FREE_BYTES) -> None:
    """Refuse an output folder that cannot be written or is nearly full, before anything is computed.

    Raises:
        DataError: folder, what is wrong, what would be right.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * 2**20)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise unwritable(folder, error) from error
    if free < free_bytes:
        raise DataError(
            f"{folder}: {free / 2**20:.0f} MB are free, a run needs {free_bytes / 2**20:.0f} MB; "
            "free some, or choose another folder: paths.outputs=<folder>"
        )


def unwritable(folder: Path | str, error: OSError) -> DataError:
    """The error for an output folder that cannot be written."""
    return DataError(
        f"{folder}: cannot be written ({error.strerror or error}); choose another folder: paths.outputs=<folder>"
    )
