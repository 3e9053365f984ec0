"""What a model is made of: parameters of every part, what it sees, schedules. Builds the model, so it needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf, open_dict

from fusionbench.app import catalogue, compose
from fusionbench.app.check import mismatch, settled
from fusionbench.errors import RefusedError, UserError


def anatomy(model: str, data: str | None, path: Sequence[str]) -> dict[str, Any]:
    """Facts of a model built for a data set, its random weights as they start.

    Args:
        model: its name.
        data: name of the data set; None: the first that it can take.
        path: search path of the configurations.

    Returns:
        ``built for``, ``inputs``, ``parameters`` (trainable values by part), ``sees`` and ``schedules``.

    Raises:
        RefusedError: the data set does not fit.
        ConfigError: no such data set.
    """
    from fusionbench.building import build

    card = catalogue.cards("model", path)[model]
    data = _data(card, model, data, path)
    config = _config(model, data, path)
    found: dict[str, Any] = {"built for": f"data={data}", "inputs": _inputs(card, config["data"])}
    try:
        regime = build(config["model"]["module"], "model.module")
    except UserError as error:  # it begins from something to be named, e.g. a checkpoint
        return found | {"parameters": f"not built: {error}", "schedules": _schedules(model, path)}
    counts = dict(_parts(regime))
    found["parameters"] = {name: f"{count:,}" for name, count in counts.items()} or "none"
    found["sees"] = _sees(regime, config["data"])
    return found | {"schedules": "none needed" if card["regime"] == "classical" else _schedules(model, path)}


def _data(card: Mapping[str, Any], model: str, data: str | None, path: Sequence[str]) -> str:
    sets = catalogue.bodies("data", path)
    if data is not None and data not in sets:
        raise catalogue.unknown("data", data, sets)
    reasons = {name: mismatch(card, settled(sets[name])) for name in ([data] if data is not None else sets)}
    fitting = [name for name, reason in reasons.items() if reason is None]
    if not fitting:
        raise RefusedError(f"model={model}: no data set fits it: {'; '.join(f'{k}: {v}' for k, v in reasons.items())}")
    return "worldview3" if "worldview3" in fitting else fitting[0]


def _config(model: str, data: str, path: Sequence[str]) -> dict[str, Any]:
    """The resolved ``model`` and ``data`` sections."""
    searched = [f"hydra.searchpath=[{','.join(path[1:])}]"] if len(path) > 1 else []
    cfg = compose.composed("train", [f"model={model}", f"data={data}", *searched])
    with open_dict(cfg):
        cfg.paths = dict.fromkeys(cfg.paths, "unused")
        if OmegaConf.select(cfg, "data.grid") == "auto":  # the files' own, which are not looked for here
            cfg.data.grid = "area"
    return {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("model", "data")}


def _inputs(card: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    limits = card.get("constraints") or {}
    roles = card.get("roles") or {}
    return {
        "required": list(roles.get("required") or ()),
        "optional": list(roles.get("optional") or ()),
        "bands here": dict(data["channels"]),
        "bands": limits.get("bands", "any"),
        "ratio": limits.get("ratio", "any"),
        "one model for any bands": bool(limits.get("one_model_any_bands", False)),
        "knowledge": card.get("knowledge", "none"),
    }


def _parts(regime: Any) -> Iterator[tuple[str, int]]:
    """Trainable values of the parts of a regime; entries of a dict of parts each for themselves."""
    from torch.nn import ModuleDict

    for name, child in regime.named_children():
        inside = child.items() if isinstance(child, ModuleDict) else [("", child)]
        for key, part in inside:
            count = sum(p.numel() for p in part.parameters() if p.requires_grad)
            if count:
                yield f"{name}.{key}".rstrip("."), count


def _sees(regime: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """How far an input pixel reaches and whether ``predict`` can tile."""
    from fusionbench.inference.prediction import reach

    network = regime.network.eval()
    radius = reach(regime, {"channels": data["channels"], "ratio": data["ratio"]})
    multiple = int(getattr(network, "size_multiple", 1))
    return {
        "radius": "the whole scene" if radius is None else f"{radius} PAN px",
        "windows or strides": f"start at multiples of {multiple} PAN px; other sizes are padded inside"
        if multiple > 1
        else "none",
        "predict": "the scene is fused at once" if radius is None else "tiles, in bounded memory",
    }


def _schedules(model: str, path: Sequence[str]) -> dict[str, Any]:
    """Recipes with a file for this model, and the data sets with one for the pair."""
    found: dict[str, Any] = {}
    for recipe in catalogue.options("recipe", path):
        own = model in catalogue.options(f"schedule/{recipe}", path)
        start = f"{model}_on_"
        pairs = [name.removeprefix(start) for name in catalogue.options(f"pair_schedule/{recipe}", path)
                 if name.startswith(start)]  # fmt: skip
        said = "own" if own else ("general" if recipe == "demo" else "none")
        found[recipe] = said + (f"; of its own on {', '.join(pairs)}" if pairs else "")
    return found
