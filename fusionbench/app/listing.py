"""The verbs ``list`` and ``describe``: read from the cards, importing no method. Torch-free."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fusionbench.app import catalogue, screen
from fusionbench.app.check import settled
from fusionbench.errors import ConfigError


def list_(arguments: Sequence[str]) -> int:
    """``fusionbench list models|data [--task <task>]``.

    Raises:
        ConfigError: an unknown task.
    """
    parser = argparse.ArgumentParser(prog="fusionbench list", add_help=False)
    parser.add_argument("what", choices=["models", "data"])
    parser.add_argument("--task")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args(list(arguments))
    path = catalogue.search_path(given.overrides)
    group = "model" if given.what == "models" else "data"
    found = catalogue.bodies(group, path)
    tasks = {name: str(body.get("card", {}).get("task", "")) for name, body in found.items()}
    if given.task is not None and given.task not in tasks.values():
        raise ConfigError(f"--task {given.task}: no such task; there are {', '.join(sorted(set(tasks.values())))}")
    wanted = {name: body for name, body in found.items() if given.task in (None, tasks[name])}
    screen.show(_models(wanted) if group == "model" else _data(wanted))
    return 0


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        table.add_column(name, no_wrap=index == 0)
    return table


def _models(found: dict[str, dict[str, Any]]) -> Any:
    table = _table(
        f"{len(found)} models: python train.py model=<id> data=<id>", "id", "name", "task", "regime", "year", "roles"
    )
    for name, body in sorted(found.items(), key=lambda item: (str(item[1].get("card", {}).get("task")), item[0])):
        card = body.get("card", {})
        roles = card.get("roles") or {}
        text = ", ".join([*(roles.get("required") or ()), *(f"({role})" for role in roles.get("optional") or ())])
        table.add_row(name, *(str(card.get(key, "")) for key in ("name", "task", "regime", "year")), text)
    return table


def _data(found: dict[str, dict[str, Any]]) -> Any:
    table = _table(
        f"{len(found)} data sets: python train.py model=<id> data=<id>",
        "id",
        "name",
        "task",
        "channels",
        "ratio",
        "roles",
        "about",
    )
    for name, body in found.items():
        card, facts = body.get("card", {}), settled(body)
        channels = ", ".join(f"{role} {count}" for role, count in (facts.get("channels") or {}).items())
        roles = ", ".join(card.get("roles") or ())
        table.add_row(
            name,
            str(card.get("name", "")),
            str(card.get("task", "")),
            channels,
            str(facts.get("ratio", "")),
            roles,
            str(card.get("summary", "")),
        )
    return table


def describe(arguments: Sequence[str]) -> int:
    """``fusionbench describe <id>``: the card of a model or a data set; ``describe model=<id> [data=<id>]``: also what
    the model built for that data set is made of.

    Raises:
        ConfigError: no such name.
    """
    names = [text for text in arguments if "=" not in text]
    given = dict(text.split("=", 1) for text in arguments if text.split("=")[0] in ("model", "data"))
    path = catalogue.search_path(arguments)
    found = {group: catalogue.cards(group, path) for group in ("model", "data")}
    if len(names) + bool(given) != 1:
        raise ConfigError("describe takes one name, e.g. fusionbench describe pannet, or describe model=pannet")
    for group, name in given.items():
        if name not in found[group]:
            raise catalogue.unknown(group, name, found[group])
    if not given:
        group = next((group for group, known in found.items() if names[0] in known), "")
        if not group:
            raise catalogue.unknown("name", names[0], [*found["model"], *found["data"]])
        _card(group, found[group][names[0]])
    elif "model" not in given:
        _card("data", found["data"][given["data"]])
    else:
        from fusionbench.app.anatomy import anatomy

        _card("model", found["model"][given["model"]])
        _card("", anatomy(given["model"], given.get("data"), path))
    return 0


def _card(group: str, card: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110)
    screen.show(*([f"{group}={card['id']}\n"] if group else []), text)
