"""Objects from configuration: only what a configuration or a checkpoint may name. Torch-free to import."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from fusionbench.errors import ConfigError, UserError

PACKAGES = ("fusionbench", "torch.nn", "torch.optim", "torchmetrics", "pytorch_lightning")
_user_packages: set[str] = set()
_SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_"}


def allow_packages(names: Iterable[str]) -> None:
    """Allow classes and functions of a user's own packages, for this process.

    Called with what the person typed, never with what a file says.

    Raises:
        ConfigError: a name is not a plain package name, or belongs to the standard library or to torch.
    """
    for name in names:
        top = str(name).split(".")[0]
        if not all(part.isidentifier() for part in str(name).split(".")) or top in sys.stdlib_module_names | {
            "torch",
            "hydra",
            "omegaconf",
            "numpy",
        }:
            raise ConfigError(
                f"allow_packages: {name!r} cannot be allowed; name an own package, e.g. allow_packages=[my_fusion]"
            )
        _user_packages.add(str(name))


def _inside(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _kinds() -> tuple[type, ...]:
    import pytorch_lightning as pl
    import torch
    import torchmetrics
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.profilers import Profiler

    scheduler = torch.optim.lr_scheduler.LRScheduler
    return (
        torch.nn.Module,
        torch.optim.Optimizer,
        scheduler,
        torch.optim.lr_scheduler.ReduceLROnPlateau,
        torchmetrics.Metric,
        pl.Callback,
        Logger,
        Profiler,
        pl.LightningDataModule,
    )


def _refuse(path: str, reason: str) -> ConfigError:
    allowed = ", ".join((*PACKAGES, *sorted(_user_packages)))
    return ConfigError(
        f"_target_: {path}\n  {reason}\n  Allowed are networks, losses, optimisers, schedulers, metrics, callbacks, "
        f"loggers and data modules of {allowed}, and functions of fusionbench."
    )


def _locate(path: str) -> Any:
    parts = path.split(".")
    if not all(part.isidentifier() for part in parts) or len(parts) < 2:
        raise _refuse(path, "This is not a dotted path to a class or a function.")
    # Nothing outside these packages is even imported: importing runs code.
    if parts[0] not in {package.split(".")[0] for package in (*PACKAGES, *_user_packages)}:
        raise _refuse(
            path,
            f"Package {parts[0]!r} is not allowed (own packages: allow_packages=[{parts[0]}] on the command line).",
        )
    found: Any = importlib.import_module(parts[0])
    for depth, part in enumerate(parts[1:], start=1):
        try:
            found = getattr(found, part)
        except AttributeError:
            module = ".".join(parts[: depth + 1])
            if not inspect.ismodule(found):
                raise _refuse(path, f"{'.'.join(parts[:depth])} has no {part!r}.") from None
            try:
                found = importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
                names = [name for name in dir(found) if not name.startswith("_")]
                near = difflib.get_close_matches(part, names, n=3)
                raise _refuse(
                    path,
                    f"{'.'.join(parts[:depth])} has no {part!r}" + (f"; nearest: {', '.join(near)}." if near else "."),
                ) from None
    return found


def resolve_target(path: str) -> Any:
    """The class or function a ``_target_`` names, if it may be named.

    What counts is the resolved object's own ``__module__`` and kind, not the path that led to it:
    ``torch.optim.optimizer.torch.hub.load`` begins well and ends elsewhere.

    Raises:
        ConfigError: the object does not exist, lies outside the allowed packages, or is of another kind.
    """
    found = _locate(path)
    owner = getattr(found, "__module__", None) or ""
    ours = ("fusionbench", *_user_packages)
    if inspect.isclass(found):
        if not _inside(owner, (*PACKAGES, *_user_packages)):
            raise _refuse(path, f"It is a class of {owner}.")
        if not (_inside(owner, ours) or issubclass(found, _kinds())):
            raise _refuse(path, f"{found.__name__} is a class of another kind.")
        return found
    function = found.__func__ if inspect.ismethod(found) else found
    if not inspect.isfunction(function) or not _inside(function.__module__, ours):
        raise _refuse(
            path, f"It is {'a function of ' + owner if callable(found) and owner else 'not a class or a function'}."
        )
    return found


def _check(node: Any, where: str) -> None:
    if isinstance(node, str) and "${" in node:
        raise ConfigError(
            f"{where}: {node!r} is not resolved; a configuration is built after its references are filled in"
        )
    if isinstance(node, Mapping):
        if "_target_" in node:
            _check_arguments(resolve_target(str(node["_target_"])), node, where)
        for key, value in node.items():
            _check(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            _check(value, f"{where}[{index}]")


def _check_arguments(target: Any, node: Mapping, where: str) -> None:
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in node:
        if key not in parameters and key not in _SPECIAL | {"_args_"}:
            near = difflib.get_close_matches(str(key), parameters, n=1)
            raise ConfigError(
                f"{where or 'node'}.{key}: {target.__qualname__} takes no {key!r}"
                + (f" (nearest: {near[0]})" if near else "")
                + f"; it takes {', '.join(parameters)}"
            )


def build(node: Any, where: str = "", **objects: Any) -> Any:
    """Build what a configuration node describes: Hydra's ``instantiate`` with plain containers.

    Args:
        node: mapping with ``_target_`` (DictConfig or plain); nested ones are built too, ``_partial_: true`` is a
            partial.
        where: the node's key, for messages.
        objects: arguments that are not configuration (objects built elsewhere).

    Raises:
        ConfigError: a ``_target_`` is not allowed, a key is unknown to it, a reference is unresolved.
        UserError: what the constructor itself raises.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(plain, Mapping) or "_target_" not in plain:
        raise ConfigError(f"{where or 'node'}: nothing to build, it has no _target_")
    _check(plain, where)
    try:
        return instantiate(dict(plain), _convert_="all", **objects)
    except InstantiationException as error:
        cause: BaseException | None = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise
