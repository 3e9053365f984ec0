"""The verb ``import-weights``: published .pth files become checkpoints that evaluate and predict take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf, open_dict

from fusionbench.app import catalogue, compose, screen
from fusionbench.app.check import check_folder
from fusionbench.errors import CheckpointError, ConfigError

# the networks whose weights the DLPan toolbox publishes
NETWORKS = ("pnn", "pannet", "dicnn", "fusionnet", "msdcnn", "drpnn")
# Deng et al., Machine Learning in Pansharpening, IEEE GRSM 10(3), 2022: trained on numbers over 2^11 - 1, dlpan grid
GRID, BITS = "dlpan", 11
ORIGIN = "DLPan-Toolbox, published weights (licence: GPL, see its repository)"
USAGE = "fusionbench import-weights <file.pth or folder> out=<folder> [sensor=<data set>]"


def import_weights(arguments: Sequence[str]) -> int:
    """``fusionbench import-weights <file or folder> out=<folder>``: one checkpoint per file, ``<model>_<sensor>.ckpt``.

    The network is known by the names and shapes of its tensors, the sensor by the folder that holds the file
    (``WV3/pannet.pth``) or by ``sensor=``. Nothing is written unless every file fits.

    Raises:
        ConfigError: an argument is missing or unknown.
        CheckpointError: no such file, not a file of weights, or weights of none of the six networks.
    """
    places = [text for text in arguments if "=" not in text]
    given = dict(text.split("=", 1) for text in arguments if "=" in text)
    unknown = sorted(set(given) - {"out", "sensor"})
    if len(places) != 1 or "out" not in given or unknown:
        raise ConfigError((f"{unknown[0]}= is unknown; " if unknown else "") + USAGE)
    out = Path(given["out"]).expanduser()
    check_folder(out, free_bytes=0)
    files = _files(Path(places[0]).expanduser())
    sensors = [_sensor(file, given.get("sensor")) for file in files]

    from fusionbench.regimes.checkpoint import write_checkpoint

    contents = {}
    for file, sensor in zip(files, sensors, strict=True):
        model, content = converted(file, sensor)
        name = f"{model}_{_short(sensor)}.ckpt"
        if name in contents:
            raise CheckpointError(f"{file}: a second file of {model} weights for {sensor}; import one of them")
        contents[name] = content
    for name, content in contents.items():
        write_checkpoint(out / name, content)
        screen.show(f"{out / name}  {content['fusionbench']['origin']['file']}")
    return 0


def _files(place: Path) -> list[Path]:
    from fusionbench.regimes.published import SUFFIX

    if place.is_file():
        return [place]
    if not place.is_dir():
        raise CheckpointError(f"{place}: there is no such file or folder")
    files = sorted(place.rglob(f"*{SUFFIX}"))
    if not files:
        raise CheckpointError(f"{place}: no {SUFFIX} file in it or in the folders below")
    return files


def _codes() -> dict[str, str]:
    """Data set by the short names that its card gives it, lower case."""
    cards = catalogue.cards("data", catalogue.search_path())
    return {str(alias).lower(): name for name, card in cards.items() for alias in (name, *(card.get("aliases") or ()))}


def _short(sensor: str) -> str:
    return next((code for code, name in _codes().items() if name == sensor and code != sensor), sensor)


def _sensor(file: Path, given: str | None) -> str:
    codes = _codes()
    name = file.absolute().parent.name if given is None else given
    if name.lower() not in codes:
        what = (
            f"sensor={given}" if given is not None else f"{file}: the folder {name} names no sensor, give sensor=<name>"
        )
        raise ConfigError(f"{what}; known are {', '.join(sorted(set(codes)))}")
    return codes[name.lower()]


def converted(file: Path, sensor: str) -> tuple[str, dict[str, Any]]:
    """A file of published weights as the model's name and the content of a checkpoint.

    Args:
        file: a bare state dict.
        sensor: the data set whose sensor it was trained for.

    Raises:
        CheckpointError: see `import_weights`.
    """
    from fusionbench.building import build
    from fusionbench.data.cache import file_digest
    from fusionbench.regimes.checkpoint import KEY, checkpoint_facts
    from fusionbench.regimes.published import difference, read_weights

    weights = read_weights(file)
    unlike = {}
    for model in NETWORKS:
        config = _config(model, sensor)
        network = build(config["model"]["module"]["network"], "model.module.network")
        unlike[model] = difference(network.state_dict(), weights)
        if not unlike[model]:
            regime = build(config["model"]["module"], "model.module")
            regime.network.load_state_dict(weights)
            origin = {"what": ORIGIN, "file": f"{file.parent.name}/{file.name}", "sha256": file_digest(file)}
            training = {"recipe": "published", "trained_on": sensor, "trained_on_simulated": False}
            facts = checkpoint_facts(config) | {"training": training, "origin": origin}
            return model, {"state_dict": regime.state_dict(), KEY: facts}
    closest = min(unlike, key=lambda model: len(unlike[model]))
    said = "; ".join(unlike[closest][:3]) + (" and more" if len(unlike[closest]) > 3 else "")
    raise CheckpointError(
        f"{file}: its tensors are none of {', '.join(NETWORKS)} with the bands of {sensor}; "
        f"closest is {closest}: {said}"
    )


@lru_cache(maxsize=64)
def _config(model: str, sensor: str) -> dict[str, Any]:
    """The resolved ``model`` and ``data`` sections that such weights were trained under."""
    overrides = [f"model={model}", f"data={sensor}", f"data.grid={GRID}", f"data.bits={BITS}"]
    cfg = compose.composed("train", overrides)
    with open_dict(cfg):
        cfg.paths = dict.fromkeys(cfg.paths)  # no folder of this machine belongs into a checkpoint
    sections: Mapping[str, Any] = {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("model", "data")}
    return {**sections, "seed": None, "run": {"model": model, "data": sensor, "recipe": "published"}}
