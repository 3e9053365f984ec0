"""The evaluator ``missing_modality``: a trained classifier with each of its modalities withheld."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError
from fusionbench.evaluation import marks
from fusionbench.evaluation.classification import Classification
from fusionbench.evaluation.scenewise import Fused
from fusionbench.evaluation.schema import CHANGED, Finding, Metrics, SceneRow, read_metrics
from fusionbench.evaluation.summary import Seen

FILLS = ("zeros", "mean", "own")


class MissingModality(Classification):
    """`Classification`, and every scene once more per modality and way to withhold it.

    ``zeros``: the scaled raster is zero. ``mean``: every pixel has the mean of the training pixels. ``own``: the
    method's own mode, for methods that have one. Test sets are named ``test@missing=aux/zeros``. The finding puts three
    numbers side by side: the method without the modality, a model trained on the rest alone (``controls``), and the
    method whole.

    Args:
        fills: which ways.
        controls: role that is missing -> run folder of the model trained on the rest alone, tested on the same pixels.
        options: of `Classification`.

    Raises:
        ConfigError: an unknown way, or a control for a role that does not exist.
    """

    name = "missing_modality"
    version = 1

    def __init__(
        self, *, fills: Sequence[str] = FILLS, controls: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        unknown = [fill for fill in fills if fill not in FILLS]
        if unknown or not fills:
            raise ConfigError(f"evaluator.fills={list(fills)}: one or more of {', '.join(FILLS)}")
        strange = [role for role in controls or {} if role not in self.modalities]
        if strange:
            raise ConfigError(f"evaluator.controls.{strange[0]}: the modalities are {', '.join(self.modalities)}")
        self.fills, self.controls = list(fills), {k: str(v) for k, v in (controls or {}).items()}
        self._means: dict[str, Tensor] = {}

    def begin(self, test_sets: Sequence[str], run_dir: Path, method: str, kind: str = "network") -> None:
        """See `Evaluator.begin`."""
        super().begin(test_sets, run_dir, method, kind)
        samples, _ = self._data.training_pixels()
        self._means = {role: torch.from_numpy(x.mean(0)) for role, x in samples.items()}
        self.titles = dict(type(self).titles)
        for name in test_sets:
            for role, fill in self._ways():
                key = _set_of(name, role, fill)
                self._sets.append(key)
                self.titles[key] = f"Test pixels, {self.modalities[role]} withheld ({fill})"

    def _ways(self) -> list[tuple[str, str]]:
        network = getattr(self._regime, "network", None)
        fills = [fill for fill in self.fills if fill != "own" or getattr(network, "has_missing_mode", False)]
        read = getattr(self._regime, "read_roles", lambda: tuple(self.modalities))()
        roles = [role for role in self.modalities if role in read]
        return [(role, fill) for role in roles for fill in fills] if len(roles) > 1 else []

    def _further(self, set_name: str, batch: Mapping[str, Any], scene: Any, products: Sequence[Fused]) -> list[Seen]:
        if self._fuse is None:
            raise DataError("missing_modality runs the method again: prepare() must hand it over before begin()")
        name, info = str(batch["scene"][0]), self._info(scene)
        found = []
        for role, fill in self._ways():
            raster = torch.zeros_like(batch[role])
            if fill == "mean":
                raster += self._means[role].to(raster).reshape(1, -1, 1, 1)
            given = dict(batch) | {role: raster} | ({"withheld": [role]} if fill == "own" else {})
            image = self._image(name, self._fuse(given), scene)
            values, _ = self._measured(set_name, scene, image)
            key = _set_of(set_name, role, fill)
            row = SceneRow(key, name, *self._method, values)
            found.append(Seen(key, name, info, [row], {}, [], [], []))
        return found

    def _concluded(self, metrics: Metrics, seen: list[Seen]) -> Metrics:
        metrics = super()._concluded(metrics, seen)
        sets = {
            name: replace(found, rows={metrics.method: found.rows[metrics.method]}) if CHANGED in name else found
            for name, found in metrics.sets.items()
        }
        whole = next(iter(sets.values())).rows[metrics.method].values
        lines = []
        for role, fill in self._ways():
            for name in [name for name in sets if name.endswith(f"{CHANGED}missing={role}/{fill}")]:
                values = sets[name].rows[metrics.method].values
                control = self._control(role)
                lines.append([self.modalities[role], fill, *_cells(values, control, whole)])
        columns = ["withheld", "filled with"]
        columns += [f"{index} {what}" for index in ("OA", "AA") for what in ("without", "control", "whole")]
        notes = ["without: this method, the modality withheld; control: trained on the rest alone; whole: all there."]
        if not self.controls:
            notes.append(
                "No controls were given: evaluator.controls.<role>=<run folder of the model on the rest alone>."
            )
        finding = Finding("Missing modality", columns, lines, notes)
        return replace(metrics, sets=sets, findings=[*metrics.findings, finding] if lines else metrics.findings)

    def _control(self, role: str) -> dict[str, float]:
        """OA and AA of the control; its test pixels must be those of this run.

        Raises:
            DataError: no results there, or of other pixels.
        """
        if role not in self.controls:
            return {}
        control = read_metrics(Path(self.controls[role]))
        found = next(iter(control.sets.values()))
        mine = {item.scene: item.info.signature for item in self._seen if CHANGED not in item.set}
        theirs = {scene: info.signature for scene, info in found.scenes.items()}
        if mine != theirs:
            raise DataError(
                f"evaluator.controls.{role}={self.controls[role]}: was tested on other pixels than this run"
            )
        return {index: value.mean for index, value in found.rows[control.method].values.items()}

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"fills": self.fills}


def _cells(values: Mapping[str, Any], control: Mapping[str, float], whole: Mapping[str, Any]) -> list[str]:
    cells = []
    for index in ("OA", "AA"):
        three = (values[index].mean, control.get(index, math.nan), whole[index].mean)
        cells += [marks.number(value, 2) for value in three]
    return cells


def _set_of(name: str, role: str, fill: str) -> str:
    return f"{name}{CHANGED}missing={role}/{fill}"
