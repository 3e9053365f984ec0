"""From what was seen of each scene to the record of a run. Torch-free."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fusionbench.evaluation import marks
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.plots import Spectrum
from fusionbench.evaluation.schema import (
    EvaluatorInfo,
    IndexInfo,
    Metrics,
    Picture,
    Row,
    Scene,
    SceneRow,
    TestSet,
    Value,
    summarise,
)


@dataclass(frozen=True)
class Seen:
    """All that is kept of one scene of a test set; small, so that processes can exchange it.

    Args:
        info: size, registration, fingerprint.
        rows: one per method that gave a product.
        skipped: method -> why it gave none.
        notes: what a reader must know about this scene.
        pictures: files written for it.
        spectra: of a few places of the reference.
    """

    set: str
    scene: str
    info: Scene
    rows: list[SceneRow]
    skipped: dict[str, str]
    notes: list[str]
    pictures: list[Picture]
    spectra: list[Spectrum]


@dataclass(frozen=True)
class Method:
    """A row: ``title`` as printed; ``kind`` network, classical or interpolation."""

    title: str
    kind: str


@dataclass(frozen=True)
class Protocol:
    """What an evaluator measured.

    Args:
        info: its name, version, options.
        sets: test sets in the order to print.
        indices: test set -> index -> what it is.
        methods: id -> row, in the order to print.
        own: id of the method under test.
        titles: test set -> heading.
        pooled: from a test set and the rows of one method on it, one per scene, the values that are not means over
            scenes.
    """

    info: EvaluatorInfo
    sets: list[str]
    indices: dict[str, dict[str, IndexInfo]]
    methods: dict[str, Method]
    own: str
    titles: Mapping[str, str]
    pooled: Callable[[str, Sequence[SceneRow]], dict[str, float]]


def in_order(seen: Sequence[Seen], sets: Sequence[str]) -> list[Seen]:
    """By test set, then by scene: the same for any number of processes; a scene seen twice counts once."""
    unique = {(item.set, item.scene): item for item in seen}
    return [unique[key] for key in sorted(unique, key=lambda key: (sets.index(key[0]), key[1]))]


def scene_rows(seen: Sequence[Seen], protocol: Protocol) -> list[SceneRow]:
    """The lines of ``scenes.csv``: by test set, scene and method."""
    order = list(protocol.methods)
    return [
        row
        for item in in_order(seen, protocol.sets)
        for row in sorted(item.rows, key=lambda row: order.index(row.method))
    ]


def summarised(seen: Sequence[Seen], protocol: Protocol, facts: RunFacts, drawn: int) -> Metrics:
    """Means over scenes for every method and test set, what is flagged, and the pictures to show.

    Args:
        seen: every scene of every test set.
        protocol: what was measured.
        facts: of the run.
        drawn: scenes per test set whose pictures are kept.
    """
    ordered = in_order(seen, protocol.sets)
    found: dict[str, TestSet] = {}
    pictures: list[Picture] = []
    for name in protocol.sets:
        here = [item for item in ordered if item.set == name]
        if not here:
            continue
        found[name] = _test_set(name, here, protocol, facts)
        for item in [item for item in here if item.pictures][:drawn]:
            pictures += item.pictures
    metrics = Metrics(
        run=facts.run,
        method=protocol.own,
        label=facts.label,
        seed=facts.seed,
        data=facts.data,
        model=facts.model,
        training=facts.training,
        evaluator=protocol.info,
        indices={index: info for name in found for index, info in protocol.indices[name].items()},
        sets=found,
        labels=facts.tags,
        pictures=pictures,
        peak_memory_mb=facts.peak_memory_mb,
    )
    return replace(metrics, flags=[str(flag) for flag in marks.flags(metrics)])


def _test_set(name: str, seen: Sequence[Seen], protocol: Protocol, facts: RunFacts) -> TestSet:
    indices = list(protocol.indices[name])
    rows = {}
    for key, method in protocol.methods.items():
        lines = [row for item in seen for row in item.rows if row.method == key]
        reasons = [item.skipped[key] for item in seen if key in item.skipped]
        knowledge = facts.model.knowledge if key == protocol.own else "none"
        if reasons or not lines:
            reason = reasons[0] if reasons else "it was not run"
            rows[key] = Row(key, method.title, method.kind, 0, knowledge=knowledge, skipped=reason)
            continue
        values = {index: summarise([line.values.get(index, math.nan) for line in lines]) for index in indices}
        known = {index: value for index, value in values.items() if value is not None}
        for index, value in protocol.pooled(name, lines).items():
            known[index] = replace(known[index], mean=value) if index in known else Value(value, None, len(lines))
        seconds = _seconds_per_mpx(seen, key)
        rows[key] = Row(key, method.title, method.kind, len(lines), known, seconds, knowledge)
    scenes = {item.scene: item.info for item in seen}
    return TestSet(protocol.titles.get(name, name), indices, scenes, rows, _notes(seen, facts))


def _seconds_per_mpx(seen: Sequence[Seen], method: str) -> float | None:
    """Median over scenes: the first scene of a run also pays for what is done once."""
    found = [
        row.seconds / (item.info.height * item.info.width / 1e6)
        for item in seen
        for row in item.rows
        if row.method == method and row.seconds is not None
    ]
    return statistics.median(found) if found else None


def _notes(seen: Sequence[Seen], facts: RunFacts) -> list[str]:
    notes = []
    moved = [(item.scene, item.info.shift) for item in seen if item.info.shift is not None and item.info.shift.warned]
    if moved:
        ratio = facts.data.ratio or 1
        worst, shift = max(moved, key=lambda entry: entry[1].dy ** 2 + entry[1].dx ** 2)
        length = (shift.dy**2 + shift.dx**2) ** 0.5
        notes.append(
            f"PAN lies off MS by more than a quarter of an MS pixel in {len(moved)} of {len(seen)} scenes (most in "
            f"{worst}: {length:.2f} PAN px, {length / ratio:.2f} MS px); scores then measure registration too, "
            "data.align=global moves PAN first"
        )
    masked = [item.scene for item in seen if item.info.valid_share < 1]
    if masked:
        least = min(item.info.valid_share for item in seen)
        notes.append(
            f"{len(masked)} of {len(seen)} scenes have missing pixels (at least {100 * least:.1f} % are valid)"
        )
    texts = [text for item in seen for text in item.notes]
    return [*notes, *texts[:8], *([f"and {len(texts) - 8} more of this kind"] if len(texts) > 8 else [])]
