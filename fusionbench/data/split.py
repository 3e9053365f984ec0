"""Which part of which scene is for training, validation, testing: decided before anything is degraded. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from fusionbench.data.readers.image import Window
from fusionbench.errors import ConfigError, DataError

SUBSETS = ("train", "val", "test")
RULES = ("auto", "published", "scene", "block", "run", "test", "file")
RUN_SHARES = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Piece:
    """One part of one scene.

    Args:
        scene: name of the scene.
        subset: ``train``, ``val`` or ``test``.
        window: rows and columns of the MS image; PAN's are `ratio` times as many.
        part: whether the window is less than the scene.
    """

    scene: str
    subset: str
    window: Window
    part: bool = False

    @property
    def name(self) -> str:
        """Scene and, where it is only a part, its first row and column."""
        return f"{self.scene}-r{self.window.top}c{self.window.left}" if self.part else self.scene


@dataclass(frozen=True)
class Split:
    """The rule that was applied and the pieces it gave."""

    rule: str
    pieces: tuple[Piece, ...]

    def of(self, subset: str) -> list[Piece]:
        """Pieces of a subset."""
        return [piece for piece in self.pieces if piece.subset == subset]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to ``split.json``."""
        pieces = [{"scene": p.scene, "subset": p.subset, "window": p.window.as_list()} for p in self.pieces]
        return {"rule": self.rule, "pieces": pieces}


@dataclass(frozen=True)
class SplitSettings:
    """The data config's ``split``; its comments say what each value means."""

    by: str = "auto"
    test: Sequence[str] | None = None
    val: Sequence[str] | float | None = None
    fold: int = 0
    folds: int = 4
    blocks: int = 2
    axis: str = "columns"
    guard: int = 64
    val_guard: int = 24
    file: str | None = None

    def __post_init__(self) -> None:
        for key, value, allowed in (("by", self.by, RULES), ("axis", self.axis, ("columns", "rows"))):
            if value not in allowed:
                raise ConfigError(f"data.split.{key}={value}: one of {', '.join(allowed)}")
        for key in ("guard", "val_guard", "fold"):
            if getattr(self, key) < 0:
                raise ConfigError(f"data.split.{key}={getattr(self, key)}: 0 or more")
        for key in ("folds", "blocks"):
            if getattr(self, key) < 2:
                raise ConfigError(f"data.split.{key}={getattr(self, key)}: 2 or more")


def split_scenes(
    sizes: Mapping[str, tuple[int, int]], settings: SplitSettings, ratio: int, by_number: bool = False
) -> Split:
    """Assign native scenes, or parts of them, to training, validation and testing.

    Args:
        sizes: rows and columns of each scene's MS image, by name.
        settings: the rule.
        ratio: every window starts at a multiple of it, so that degraded grids of the parts agree with the whole's.
        by_number: ``auto`` cuts contiguous runs of scene numbers (neighbouring numbers may overlap on the ground).

    Returns:
        Pieces of at least one pixel, sorted by scene; windows that do not overlap.

    Raises:
        ConfigError: unknown scene names, a fold that does not exist.
        DataError: too few scenes, or scenes too small for the blocks and the guard.
    """
    names = sorted(sizes)
    rule = settings.by
    if rule in ("auto", "published"):
        if settings.test is not None:
            rule = "scene"
        else:
            rule = "run" if by_number else ("scene" if len(names) >= 3 else "block")
    if rule == "file":
        return read_split(settings.file, sizes)
    if rule == "block":
        pieces = [piece for name in names for piece in _blocks(name, sizes[name], settings, ratio)]
        return Split(rule, tuple(pieces))
    subsets = {"scene": _by_scene, "run": _by_run, "test": _all_test}[rule](names, settings)
    return Split(rule, tuple(Piece(n, subsets[n], Window(0, sizes[n][0], 0, sizes[n][1])) for n in names))


def _all_test(names: Sequence[str], settings: SplitSettings) -> dict[str, str]:
    return dict.fromkeys(names, "test")


def _named(key: str, wanted: Any, names: Sequence[str]) -> list[str]:
    listed = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]
    unknown = [name for name in listed if name not in names]
    if unknown:
        raise ConfigError(f"data.split.{key}: no scene {', '.join(unknown)}; there are {', '.join(names)}")
    return listed


def _by_scene(names: Sequence[str], settings: SplitSettings) -> dict[str, str]:
    if settings.test is not None:
        test = _named("test", settings.test, names)
    else:
        if len(names) < settings.folds:
            raise DataError(
                f"{len(names)} scenes cannot make {settings.folds} folds: set data.split.folds or split.test"
            )
        parts = _cut(names, [1 / settings.folds] * settings.folds)
        if settings.fold >= settings.folds:
            raise ConfigError(f"data.split.fold={settings.fold}: 0 to {settings.folds - 1} (data.split.folds)")
        test = parts[settings.fold]
    rest = [name for name in names if name not in test]
    if isinstance(settings.val, int | float):
        if settings.val != int(settings.val) or settings.val < 0:
            raise ConfigError(f"data.split.val={settings.val}: scene names or a number of scenes, when split by scene")
        val = rest[len(rest) - int(settings.val) :]
    elif settings.val is None:
        val = rest[-1:] if len(rest) > 1 else []
    else:
        val = _named("val", settings.val, rest)
    return {name: "test" if name in test else "val" if name in val else "train" for name in names}


def _by_run(names: Sequence[str], settings: SplitSettings) -> dict[str, str]:
    if len(names) < 3:
        raise DataError(f"{len(names)} scenes cannot be cut into runs for training, validation and testing")
    parts = _cut(names, RUN_SHARES)
    return {name: subset for subset, part in zip(SUBSETS, parts, strict=True) for name in part}


def _cut(names: Sequence[str], shares: Sequence[float]) -> list[list[str]]:
    """Contiguous parts of a list by share, none empty where there are enough names."""
    edges = [0]
    for i in range(len(shares)):
        edge = round(len(names) * sum(shares[: i + 1]))
        edges.append(min(max(edge, edges[-1] + 1), len(names) - (len(shares) - 1 - i)))
    return [list(names[a:b]) for a, b in pairwise(edges)]


def _blocks(name: str, size: tuple[int, int], settings: SplitSettings, ratio: int) -> list[Piece]:
    """Strips of one scene: one for testing, the rest for training, the end of the longest of those for validation."""
    if settings.fold >= settings.blocks:
        raise ConfigError(f"data.split.fold={settings.fold}: 0 to {settings.blocks - 1} (data.split.blocks)")
    along = size[1] if settings.axis == "columns" else size[0]
    across = size[0] if settings.axis == "columns" else size[1]
    step, fold, half = along / settings.blocks, settings.fold, settings.guard / 2
    first, last = step * fold, step * (fold + 1)
    strips = {
        "test": [(first + (half if fold > 0 else 0), last - (half if fold < settings.blocks - 1 else 0))],
        "train": [(0.0, first - half)] * (fold > 0) + [(last + half, float(along))] * (fold < settings.blocks - 1),
    }
    share = 0.2 if settings.val is None else settings.val
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise ConfigError(f"data.split.val={settings.val}: a share of the training part below 1, when split by block")
    pieces = []
    longest = max(strips["train"], key=lambda strip: strip[1] - strip[0])
    for subset, parts in strips.items():
        for part in parts:
            cut = across
            if part == longest and subset == "train" and share > 0:
                cut = _down(across * (1 - share) - settings.val_guard, ratio)
                pieces.append(
                    _piece(name, "val", part, (_up(cut + settings.val_guard, ratio), across), settings, ratio)
                )
            pieces.append(_piece(name, subset, part, (0, cut), settings, ratio))
    return pieces


def _up(value: float, ratio: int) -> int:
    return -int(-value // ratio) * ratio


def _down(value: float, ratio: int) -> int:
    return int(value // ratio) * ratio


def _piece(
    name: str, subset: str, along: tuple[float, float], across: tuple[int, int], settings: SplitSettings, ratio: int
) -> Piece:
    start, stop = _up(along[0], ratio), _down(along[1], ratio)
    window = Window(*across, start, stop) if settings.axis == "columns" else Window(start, stop, *across)
    if min(window.shape) <= 0:
        raise DataError(
            f"scene {name} is too small for {settings.blocks} strips with a guard of {settings.guard} px "
            f"(validation {settings.val_guard} px): nothing would be left for {subset}"
        )
    return Piece(name, subset, window, part=True)


def write_split(path: Path, split: Split, settings: SplitSettings) -> None:
    """Write pieces and settings as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**split.as_dict(), "settings": asdict(settings)}, indent=1) + "\n", encoding="utf-8")


def read_split(file: str | None, sizes: Mapping[str, tuple[int, int]]) -> Split:
    """Pieces of a ``split.json``, checked against the scenes that are there.

    Raises:
        ConfigError: no file is named, it cannot be read, it names other scenes or windows outside them.
    """
    if file is None:
        raise ConfigError("data.split.by=file needs data.split.file=<split.json>")
    try:
        content = json.loads(Path(file).expanduser().read_text(encoding="utf-8"))
        pieces = tuple(
            Piece(str(p["scene"]), str(p["subset"]), Window(*map(int, p["window"])), part=True)
            for p in content["pieces"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"data.split.file={file}: not a readable split ({error})") from error
    for piece in pieces:
        if piece.scene not in sizes or piece.subset not in SUBSETS:
            raise ConfigError(f"{file}: {piece.subset} scene {piece.scene}: there are {', '.join(sorted(sizes))}")
        rows, columns = sizes[piece.scene]
        inside = 0 <= piece.window.top < piece.window.bottom <= rows and 0 <= piece.window.left < piece.window.right
        if not inside or piece.window.right > columns:
            raise ConfigError(f"{file}: window {piece.window.as_list()} lies outside {piece.scene} ({rows}x{columns})")
    for a, b in combinations(pieces, 2):
        if a.scene == b.scene and a.subset != b.subset and _meet(a.window, b.window):
            raise ConfigError(
                f"{file}: {a.subset} {a.window.as_list()} and {b.subset} {b.window.as_list()} of {a.scene} meet"
            )
    return Split("file", tuple(replace(p, part=p.window.shape != tuple(sizes[p.scene])) for p in pieces))


def _meet(a: Window, b: Window) -> bool:
    return a.top < b.bottom and b.top < a.bottom and a.left < b.right and b.left < a.right
