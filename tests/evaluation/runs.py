"""Run folders of made-up scores, written through the schema."""

from __future__ import annotations

from pathlib import Path

from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.indices import TITLES
from fusionbench.evaluation.schema import (
    DataInfo,
    EvaluatorInfo,
    IndexInfo,
    ModelInfo,
    Scene,
    SceneRow,
    Training,
    running,
    update_status,
    write_metrics,
    write_scenes,
    write_status,
)
from fusionbench.evaluation.summary import Method, Protocol, Seen, scene_rows, summarised

ERGAS, Q4 = IndexInfo("min", "", 3), IndexInfo("max", "", 4)
EXP = [2.0, 3.0, 4.0]
GSA = [1.5, 2.5, 2.6]


def seen(scores: dict[str, list[float]], kinds: dict[str, str], set_name: str = "reduced") -> list[Seen]:
    """One `Seen` per scene from method -> ERGAS per scene; Q4 is 1 - ERGAS / 10."""
    count = len(next(iter(scores.values())))
    found = []
    for i in range(count):
        rows = [
            SceneRow(set_name, f"scene{i}", m, kinds[m], {"ERGAS": v[i], "Q4": 1 - v[i] / 10}, seconds=0.5 + i)
            for m, v in scores.items()
        ]
        found.append(Seen(set_name, f"scene{i}", Scene(500, 500, 1.0, [1.0, 2.0 + i]), rows, {}, [], [], []))
    return found


def write_run(
    root: Path,
    name: str,
    scores: list[float],
    *,
    method: str = "net",
    kind: str = "network",
    seed: int = 0,
    simulated: bool = False,
    recipe: str = "demo",
    settings: str = "aaaaaa",
    converged: bool | None = True,
    samples: int | None = 1000,
    trained_on_simulated: bool | None = False,
) -> Path:
    """A finished run of a method whose ERGAS per scene is given, beside EXP and GSA on as many scenes."""
    folder, n = root / name, len(scores)
    methods = {"exp": Method("EXP", "interpolation"), "gsa": Method("GSA", "classical")}
    methods = {k: v for k, v in methods.items() if k != method} | {method: Method(method.title(), kind)}
    kinds = {key: value.kind for key, value in methods.items()}
    lines = {key: value for key, value in {"exp": EXP[:n], "gsa": GSA[:n]}.items() if key != method}
    items = seen({**lines, method: scores}, kinds)
    network = kind == "network"
    facts = RunFacts(
        name,
        seed,
        DataInfo("quickbird", "QuickBird", simulated, bands=4, ratio=4, options={"align": "none"}),
        ModelInfo(method, method.title(), settings=settings, parameters=1234 if network else None),
        Training(
            recipe=recipe,
            samples=samples,
            steps=10,
            converged=converged,
            trained_on="quickbird",
            trained_on_simulated=trained_on_simulated,
        )
        if network
        else Training(),
    )
    protocol = Protocol(
        EvaluatorInfo("spatiospectral", 1),
        ["reduced"],
        {"reduced": {"ERGAS": ERGAS, "Q4": Q4}},
        methods,
        method,
        TITLES,
        lambda name, rows: {},
    )
    write_status(folder, running(name, method, "quickbird", seed))
    write_metrics(folder, summarised(items, protocol, facts, 2))
    write_scenes(folder, scene_rows(items, protocol))
    update_status(folder, "finished", exit_code=0)
    return folder


def write_failed(root: Path, name: str, state: str, reason: str) -> None:
    """A run without a result."""
    write_status(root / name, running(name, "pnn", "quickbird", 0))
    update_status(root / name, state, reason, 2)
