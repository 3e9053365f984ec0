"""Checkpoints that rebuild themselves: plain types and tensors only, written whole, read with ``weights_only=True``."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from fusionbench import __version__
from fusionbench.building import build
from fusionbench.errors import CheckpointError, ConfigError, RefusedError

if TYPE_CHECKING:
    from fusionbench.regimes.base import Regime

KEY = "fusionbench"
FOLDER, LAST, BEST = "checkpoints", "last.ckpt", "best.ckpt"
_FACTS = ("config", "card", "channels", "ratio", "grid", "bits", "sensor", "value_range", "versions")


def checkpoint_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint knows of itself, from the resolved configuration of the run that trains it: plain types only.

    Keys: ``config``, ``card``, ``channels``, ``ratio``, ``grid``, ``bits``, ``sensor`` (its name), ``value_range``,
    ``versions``, and ``training`` (fields of ``evaluation.schema.Training``).
    """
    data, model = config["data"], config["model"]
    sensor = (data.get("sensor") or {}).get("name") or data["card"].get("name") or data["card"].get("id")
    return {
        "config": plain(config),
        "card": plain(model["card"]),
        "channels": plain(data["channels"]),
        "ratio": _ratio(data),
        "grid": _grid(data),
        "bits": int(data.get("bits") or 0),  # 0: the values are no digital numbers
        "sensor": str(sensor),
        "value_range": plain(model["module"].get("value_range") or {"scale": 1.0}),
        "versions": {
            "fusionbench": __version__,
            "torch": str(torch.__version__),
            "pytorch-lightning": importlib.metadata.version("pytorch-lightning"),
        },
        "training": {},
    }


def _ratio(data: Mapping[str, Any]) -> int:
    """1 where all roles lie on one grid."""
    return int(data.get("ratio") or 1)


def _grid(data: Mapping[str, Any]) -> str:
    return str(data.get("grid") or "area")


def plain(value: Any) -> Any:
    """A copy in dicts and lists of str, int, float, bool and None.

    Raises:
        ConfigError: a value of another type.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise ConfigError(f"a checkpoint holds plain values only, not {type(value).__name__} ({value!r})")


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint whole or not at all, after reading it back as a reader will.

    Args:
        path: the file.
        content: ``state_dict`` and the facts under ``fusionbench``; the trainer adds its own.

    Raises:
        CheckpointError: it holds something that ``weights_only=True`` does not read, or the disk takes no more.
    """
    handle, name = -1, ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            torch.save(dict(content), file)
            file.flush()
            os.fsync(file.fileno())
        _load(Path(name))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: was not written, it could not be read back ({error.__cause__})") from error
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise CheckpointError(f"{path}: cannot be written ({error}); is the disk full?") from error
    finally:
        Path(name).unlink(missing_ok=True) if name else None


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated and foreign files fail in a dozen ways
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint; it is truncated, or no checkpoint of plain tensors and values "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''})"
        ) from error


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read and check a checkpoint.

    Returns:
        At least ``state_dict`` and, under ``fusionbench``, the facts.

    Raises:
        CheckpointError: there is none, it is truncated, or it is not one of ours.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file; a run's checkpoints lie in <run>/{FOLDER}/")
    content = _load(path)
    facts = content.get(KEY) if isinstance(content, Mapping) else None
    if not isinstance(facts, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        raise CheckpointError(
            f"{path}: is not a checkpoint of fusionbench (key {KEY!r} is missing); published .pth weights are turned "
            "into one by `fusionbench import-weights`"
        )
    missing = [key for key in _FACTS if key not in facts]
    if missing:
        raise CheckpointError(f"{path}: {KEY}.{missing[0]} is missing; was it written by another version?")
    return dict(content)


def rebuild(path: Path | str) -> Regime:
    """The regime a checkpoint was saved from, with its weights, ready to fuse.

    Raises:
        CheckpointError: see ``read_checkpoint``; a ``_target_`` that is not allowed; weights that do not fit.
    """
    from fusionbench.regimes.base import Regime

    content = read_checkpoint(path)
    facts = dict(content[KEY])
    try:
        regime = build(facts["config"]["model"]["module"], where="model.module")
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: {KEY}.config does not say how the method is built ({error})") from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if not isinstance(regime, Regime):
        raise CheckpointError(f"{path}: model.module is a {type(regime).__name__}, not a regime")
    load_weights(regime, content["state_dict"], path)
    regime.attach(None, facts)
    return regime.eval()


def at_ratio(regime: Regime, ratio: int) -> Regime:
    """The same method with the same weights for another ratio, where its card and its weights allow it.

    Args:
        regime: built from a configuration (``attach`` gave it its facts).
        ratio: fine pixels per coarse pixel.

    Raises:
        RefusedError: the card says that it cannot.
        CheckpointError: the weights have another shape there.
    """
    facts = dict(regime.facts)
    allowed = ((facts.get("card") or {}).get("constraints") or {}).get("ratio", "any")
    if allowed != "any" and ratio not in allowed:
        raise RefusedError(f"it works at ratio {', '.join(map(str, allowed))}, not at {ratio}")
    node = _replaced(facts["config"]["model"]["module"], "ratio", int(facts["ratio"]), ratio)
    other: Regime = build(node, where="model.module")
    load_weights(other, regime.state_dict(), f"ratio {ratio}")
    other.attach(None, facts | {"ratio": ratio})
    return other.to(regime.device).eval()


def _replaced(node: Any, key: str, old: int, new: int) -> Any:
    """A configuration with another value wherever a key has this one."""
    if isinstance(node, Mapping):
        return {k: new if k == key and v == old else _replaced(v, key, old, new) for k, v in node.items()}
    return [_replaced(item, key, old, new) for item in node] if isinstance(node, list) else node


def load_weights(regime: Regime, weights: Mapping[str, Any], path: Path | str) -> None:
    """Load weights, all of them and nothing else.

    Raises:
        CheckpointError: naming what is missing, unknown, or of another shape.
    """
    own = regime.state_dict()
    missing, unknown = [k for k in own if k not in weights], [k for k in weights if k not in own]
    shapes = [k for k in own if k in weights and own[k].shape != weights[k].shape]
    if missing or unknown or shapes:
        said = [f"{len(keys)} {what} (first: {keys[0]})" for what, keys in (
            ("weights are missing", missing), ("are unknown to the method", unknown), ("have another shape", shapes)
        ) if keys]  # fmt: skip
        raise CheckpointError(f"{path}: does not fit {type(regime.network).__name__}: {'; '.join(said)}")
    regime.load_state_dict(dict(weights))


def check_data(facts: Mapping[str, Any], data: Mapping[str, Any], path: Path | str) -> None:
    """Refuse data that a checkpoint was not made for.

    Args:
        facts: of the checkpoint.
        data: resolved data configuration.
        path: of the checkpoint, for the message.

    Raises:
        CheckpointError: bands, ratio or pixel grid differ.
    """
    name = data["card"].get("name") or data["card"].get("id")
    any_bands = ((facts.get("card") or {}).get("constraints") or {}).get("one_model_any_bands", False)
    for role, count in facts["channels"].items():
        here = data["channels"].get(role)
        if here != count and not (role == "lr" and any_bands):
            raise CheckpointError(
                f"{path}: made for {count} band(s) of {role} ({facts['sensor']}), {name} has {here}; "
                f"use data of {count} band(s), or train a method on {name}"
            )
    if _ratio(data) != int(facts["ratio"]):
        raise CheckpointError(f"{path}: made for ratio {facts['ratio']}, {name} has {_ratio(data)}")
    if _grid(data) != facts["grid"]:
        raise CheckpointError(
            f"{path}: made for pixel grid {facts['grid']}, the data are on {_grid(data)} (half a PAN pixel apart); "
            f"data.grid={facts['grid']} reads them on the checkpoint's"
        )


class VerifiedCheckpoints(TorchCheckpointIO):
    """How the trainer reads and writes: whole files, verified, plain types only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write through ``write_checkpoint``."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read through ``read_checkpoint``, always to the CPU."""
        return read_checkpoint(path)
