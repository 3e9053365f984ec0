"""Public names of a package, imported when first used, so that listing and checking never import torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Give a package lazy public names (PEP 562).

    Args:
        package: the package's ``__name__``.
        names: public name -> submodule (relative to the package) that defines it.

    Returns:
        ``__getattr__``, ``__dir__`` and ``__all__`` for the package's namespace.
    """

    def getattr_(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(names))}")
        return getattr(importlib.import_module(f"{package}.{names[name]}"), name)

    return getattr_, lambda: sorted(names), sorted(names)
