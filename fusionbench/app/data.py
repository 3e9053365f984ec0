"""The verb ``data check``: what a data set's files hold, before hours are spent on them. Torch-free until it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf, open_dict

from fusionbench.app import compose, screen
from fusionbench.data.locate import layout, resolve_source
from fusionbench.errors import ConfigError, DataError

MANY = 30  # entries of a list that are shown
USAGE = "fusionbench data check <id> [key=value ...], e.g. fusionbench data check quickbird paths.data=/images"


def data(arguments: Sequence[str]) -> int:
    """``fusionbench data check <id>``: look at the files of a data set.

    Raises:
        ConfigError: no such data set, or a setting that cannot be.
        DataNotFoundError: no files; says what to get, from where, under which licence, and how the folder must look.
        DataError: files that are not right, or training and test images that share ground.
    """
    names = [text for text in arguments if "=" not in text]
    overrides = [text for text in arguments if "=" in text]
    if len(names) != 2 or names[0] != "check":
        raise ConfigError(USAGE)
    config = _config(names[1], overrides)
    _say_what_there_is(config)

    from fusionbench.building import build
    from fusionbench.data.record import shared_ground
    from fusionbench.data.spatiospectral import SpatioSpectralDataModule

    files = build(config["module"], "data.module")
    if not isinstance(files, SpatioSpectralDataModule):
        return _summary(files)
    findings = _examined(files)
    screen.show(_table(config, findings))
    for text in [text for finding in findings for text in finding.warnings(config["ratio"])]:
        screen.show(f"warning: {text}")
    for note in files.source.notes:
        screen.show(f"note: {note}")
    shared = [str(overlap) for overlap in files.find_overlaps(every_patch=True)]
    if shared:
        raise DataError(shared_ground(names[1], shared))
    screen.show("training, validation and test images share no 32x32 tile")
    return 0


def _summary(files: Any) -> int:
    """What a data set of another task than pansharpening holds, by its own checks."""
    import yaml

    files.setup(None)
    found = _shortened(files.summary())
    screen.show(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None))
    return 0


def _shortened(value: Any) -> Any:
    """Lists of more than MANY entries as their number and a few of them."""
    if isinstance(value, Mapping):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, list):
        found = [_shortened(one) for one in value]
        return found if len(found) <= MANY else [*found[:3], f"... {len(found)} in all"]
    return value


def _config(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The settled ``data`` section; looking at files is meant unless something else is asked for."""
    chosen = any(text.partition("=")[0] == "data.source" for text in overrides)
    cfg = compose.composed("check", [f"data={name}", *(() if chosen else ("data.source=files",)), *overrides])
    with open_dict(cfg):
        cfg.paths.run = None
        cfg.data = OmegaConf.merge(cfg.data, resolve_source(cfg))
    if cfg.data.simulated:
        raise ConfigError(
            f"data check {name} looks at files, and data.source={cfg.data.source}: "
            "simulated scenes are checked by fusionbench simulate --check"
        )
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return dict(plain["data"])


def _say_what_there_is(config: Mapping[str, Any]) -> None:
    card, name = config["card"], config["collection"]
    entry = card["collections"][name]
    others = [other["title"] for key, other in card["collections"].items() if key != name]
    screen.show(
        f"{card['name']}: {entry['title']} (data.collection={name}) in {config['root']}",
        f"  licence: {entry['licence']}",
        f"  {_facts(config)}" + ("" if config["trainable"] else "; test images only: nothing to train on"),
        "  the folder should look like this:",
        *(f"    {line}" for line in layout(card, name).rstrip().splitlines()),
        f"  other collections of this data set, not looked at: {', '.join(others) or 'none'}",
    )


def _facts(config: Mapping[str, Any]) -> str:
    channels = ", ".join(f"{count} of {role}" for role, count in (config.get("channels") or {}).items())
    facts = [f"{key} {config[key]}" for key in ("grid", "bits", "ratio") if config.get(key) is not None]
    return ", ".join([*facts, f"channels: {channels}"])


def _examined(files: Any) -> list[Any]:
    from fusionbench.data.check import examine
    from fusionbench.data.parts import progress_bar

    with progress_bar() as bar:
        return list(bar.track(examine(files), description="looking at pixels"))


def _table(config: Mapping[str, Any], findings: Sequence[Any]) -> Any:
    from rich.table import Table

    table = Table(title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("scene", no_wrap=True)
    for column in ("used for", "MS", "PAN", "type", "bits", "saturated %", "no data %", "r of bands", "r PAN"):
        table.add_column(column)
    table.add_column("move PAN by, px", no_wrap=True)
    table.add_column("R2", no_wrap=True)
    for f in findings:
        table.add_row(
            f.name,
            ", ".join(f.sets),
            "x".join(map(str, f.ms)),
            "x".join(map(str, f.pan[1:])),
            f.dtype,
            f"{f.needed} of {f.bits}",
            " / ".join(f"{100 * share:.2f}" for share in f.saturated),
            " / ".join(f"{100 * share:.2f}" for share in f.missing),
            f"{f.correlation[0]:.2f} least, {f.correlation[1]:.2f} mean",
            f"{f.pan_correlation:.3f}",
            "-" if f.shift is None else f"{f.shift[0]:+.2f} rows, {f.shift[1]:+.2f} cols",
            "-" if f.fit is None else f"{f.fit[0]:.3f} -> {f.fit[1]:.3f}",
        )
    return table
