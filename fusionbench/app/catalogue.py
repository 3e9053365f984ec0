"""What there is: the configuration folders, their groups and cards. Reads files, imports no method. Torch-free."""

from __future__ import annotations

import difflib
import importlib.resources
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fusionbench.errors import ConfigError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

PACKAGE = "fusionbench.configs"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def config_root() -> str:
    """Hydra's name for the configs: the checkout's folder when fusionbench runs from one, else the package's own."""
    checkout = Path(__file__).resolve().parents[2] / "configs"
    return str(checkout) if (checkout / "train.yaml").is_file() else f"pkg://{PACKAGE}"


def search_path(overrides: Iterable[str] = ()) -> list[str]:
    """The main config folder and the user's own (``hydra.searchpath=[file:///my/configs]`` among the overrides).

    Raises:
        ConfigError: a folder that does not exist.
    """
    return [config_root(), *user_folders(overrides)]


def user_folders(overrides: Iterable[str]) -> list[str]:
    """Entries of ``hydra.searchpath`` among overrides, checked to exist."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    given = [text for text in overrides if text.lstrip("+").startswith("hydra.searchpath=")]
    entries: list[str] = []
    for override in OverridesParser.create().parse_overrides(given):
        value = override.value()
        entries += [str(entry) for entry in (value if isinstance(value, list) else [value])]
    for entry in entries:
        if _folder(entry) is None:
            raise ConfigError(
                f"hydra.searchpath: {entry} is no folder; write file:///my/configs or pkg://package.configs"
            )
    return entries


@lru_cache(maxsize=64)
def _folder(entry: str) -> Traversable | None:
    if entry.startswith("pkg://"):
        try:
            found: Traversable = importlib.resources.files(entry.removeprefix("pkg://").replace("/", "."))
        except ModuleNotFoundError:
            return None
    else:
        found = Path(entry.removeprefix("file://"))
    return found if found.is_dir() else None


def options(group: str, path: Sequence[str]) -> dict[str, Traversable]:
    """Name -> file of a config group, over the whole search path; names with a leading underscore are shared bases.

    Raises:
        ConfigError: two folders of the search path hold the same name.
    """
    found: dict[str, Traversable] = {}
    for entry in path:
        folder = _folder(entry)
        place = folder.joinpath(group) if folder is not None else None
        if place is None or not place.is_dir():
            continue
        for file in sorted(place.iterdir(), key=lambda item: item.name):
            name = file.name.removesuffix(".yaml")
            if name == file.name or name.startswith("_"):
                continue
            if name in found:
                raise ConfigError(f"{group}={name} exists twice: {found[name]} and {file}; rename one of them")
            found[name] = file
    return found


def read_yaml(file: Traversable) -> dict[str, Any]:
    """A configuration file as it stands, references unresolved.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: is not YAML ({' '.join(str(error).split())})") from error
    return content or {}


def cards(group: str, path: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The ``card`` of every option of ``model`` or ``data``, with its name under ``id``.

    What a file takes from a shared base of its own group (``_pansharpening``) is filled in.
    """
    return {name: body.get("card", {}) | {"id": name} for name, body in bodies(group, path).items()}


def bodies(group: str, path: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Every option's content with what it takes from shared bases and from its sensor record, references unresolved."""
    return {name: _with_bases(file, group, path) for name, file in options(group, path).items()}


def _with_bases(file: Traversable, group: str, path: Sequence[str]) -> dict[str, Any]:
    own = read_yaml(file)
    merged: dict[str, Any] = {}
    for entry in own.pop("defaults", []):
        if isinstance(entry, str) and entry.startswith("_") and entry != "_self_":
            merged = _merge(merged, _with_bases(_shared(group, entry, path), group, path))
        elif isinstance(entry, dict) and "/sensor@sensor" in entry:
            record = options("sensor", path).get(str(entry["/sensor@sensor"]))
            merged = _merge(merged, {"sensor": read_yaml(record) if record is not None else {}})
    return _merge(merged, own)


def _shared(group: str, name: str, path: Sequence[str]) -> Traversable:
    for entry in path:
        folder = _folder(entry)
        if folder is not None and folder.joinpath(group, f"{name}.yaml").is_file():
            return folder.joinpath(group, f"{name}.yaml")
    raise ConfigError(f"{group}/{name}.yaml: named by another file's defaults, but it does not exist")


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def unknown(group: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that is none of the options: nearest names first, then all."""
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    text = f"{group}={name}: there is no such {group}."
    if near:
        text += f" Did you mean {' or '.join(f'{group}={entry}' for entry in near)}?"
    return ConfigError(f"{text}\n  Available: {', '.join(known) if known else 'none'}")
