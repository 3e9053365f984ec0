"""What a run knows about itself beside its scores: data, method, training, environment. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusionbench.evaluation.schema import DataInfo, Environment, ModelInfo, Training


@dataclass(frozen=True)
class RunFacts:
    """Given to ``Evaluator.finish``; ``run_facts`` makes one from a resolved configuration.

    Args:
        run: name of the run folder.
        seed: of the run.
        data, model, training: as in ``metrics.json``.
        config: the resolved configuration, shown in the report.
        environment: versions and device, shown in the report.
        log: CSV of the learning curves (a column ``step``, one per logged value, empty cells allowed), if there is one.
        tags: free words of the user.
        notes: sentences that a reader of the report must see.
        peak_memory_mb: of this process.
    """

    run: str
    seed: int | None
    data: DataInfo
    model: ModelInfo
    training: Training = field(default_factory=Training)
    config: dict[str, Any] = field(default_factory=dict)
    environment: Environment | None = None
    log: Path | None = None
    tags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    peak_memory_mb: float | None = None

    @property
    def label(self) -> str:
        """``real`` or ``simulated``; ``a -> b`` where training data and test data differ."""
        here = "simulated" if self.data.simulated else "real"
        if self.training.trained_on_simulated is None or not self.training.trained_on:
            return here
        there = "simulated" if self.training.trained_on_simulated else "real"
        if there != here:
            return f"{there} -> {here}"
        return here if self.training.trained_on == self.data.id else f"{self.training.trained_on} -> {self.data.id}"


def run_facts(
    config: Mapping[str, Any],
    *,
    trained: Mapping[str, Any] | None = None,
    card: Mapping[str, Any] | None = None,
    training: Training | None = None,
    parameters: int | None = None,
    parts: Mapping[str, int] | None = None,
    fingerprint: str = "",
    environment: Environment | None = None,
    log: Path | None = None,
    notes: list[str] | None = None,
    peak_memory_mb: float | None = None,
) -> RunFacts:
    """Facts of a run from plain configurations.

    Args:
        config: the run's resolved configuration (its ``config.yaml``).
        trained: that of the run which trained the checkpoint, when this run only evaluates it.
        card: the method's card, where neither configuration holds it (imported weights).
        training: what training took; None for a method that has none.
        parameters: number of trainable parameters; ``parts``: by part.
        fingerprint: of the data, from the data module.
    """
    origin = trained or config
    run, data = config.get("run") or {}, config["data"]
    card = card or (origin.get("model") or {}).get("card") or {}
    return RunFacts(
        run=str(run.get("name", "")),
        seed=origin.get("seed"),
        data=_data(data, run, fingerprint),
        model=ModelInfo(
            id=str(card.get("id") or (origin.get("run") or {}).get("model") or ""),
            name=str(card.get("name", "")),
            regime=str(card.get("regime", "")),
            year=card.get("year"),
            knowledge=str(card.get("knowledge") or "none"),
            parameters=parameters,
            parts=dict(parts or {}),
            settings=str((origin.get("run") or {}).get("settings") or ""),
            variant=str(card.get("variant") or ""),
            notes=[str(note) for note in card.get("notes") or ()],
            optimised=optimised(origin.get("model")),
        ),
        training=training or Training(),
        config=dict(config),
        environment=environment,
        log=log,
        tags=[str(tag) for tag in config.get("tags") or ()],
        notes=list(notes or ()),
        peak_memory_mb=peak_memory_mb,
    )


def optimised(model: Any) -> list[str]:
    """Spectral indices that the loss of a model's configuration holds (terms ``SpectralIndex``)."""
    if isinstance(model, Mapping):
        here = [str(model["index"])] if str(model.get("_target_", "")).endswith(".SpectralIndex") else []
        return here + [name for value in model.values() for name in optimised(value)]
    return [name for item in model for name in optimised(item)] if isinstance(model, list) else []


def _data(data: Mapping[str, Any], run: Mapping[str, Any], fingerprint: str) -> DataInfo:
    card, sensor, split = data.get("card") or {}, data.get("sensor") or {}, data.get("split") or {}
    options = {key: data[key] for key in ("grid", "align", "knowledge", "nodata") if data.get(key) is not None}
    if not data.get("simulated"):
        options |= {f"split.{key}": split[key] for key in ("by", "test", "fold", "folds") if split.get(key) is not None}
    return DataInfo(
        id=str(run.get("data") or card.get("id") or ""),
        name=str(card.get("name", "")),
        simulated=bool(data.get("simulated")),
        sensor=str(sensor.get("name", "")),
        bands=(data.get("channels") or {}).get("lr"),
        ratio=data.get("ratio"),
        bits=data.get("bits"),
        collection=str(data.get("collection") or ""),
        fingerprint=fingerprint,
        card_version=str(card.get("version") or ""),
        options=options,
    )
