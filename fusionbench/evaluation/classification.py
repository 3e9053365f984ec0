"""The evaluator ``classification``: accuracies over labelled test pixels, per class, maps, confusion matrices."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError, UserError
from fusionbench.evaluation import maps, marks
from fusionbench.evaluation.base import Fuse
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.pictures import plain, write_picture
from fusionbench.evaluation.scenewise import FIGURES, Comparison, Fused, SceneEvaluator
from fusionbench.evaluation.schema import Finding, IndexInfo, Metrics, Picture, Scene, SceneRow
from fusionbench.evaluation.summary import Method, Seen
from fusionbench.metrics.functional import accuracies, confusion_matrix
from fusionbench.metrics.functional.confusion import Accuracies

TRUTH = "reference"
ENTRY = re.compile(r"K_(\d+)_(\d+)")  # of scenes.csv: pixels of one class called another, not described, summed up
LAST = "_last"
PERCENT = 100
SCORES = {
    "OA": "overall accuracy over labelled test pixels",
    "AA": "mean recall over the classes that occur",
    "kappa": "Cohen's kappa x 100",
    "F1": "mean F1 over the classes that occur",
}


class Classification(SceneEvaluator):
    """OA, AA, kappa and F1 (in percent) of each test scene, over its labelled test pixels; rows of K are the truth.

    The report shows recall, precision and F1 of every class with its training pixels, the confusion matrix summed over
    scenes, and maps. Rows to compare with are support vectors and a random forest on each modality and on all of them,
    fitted to the same training pixels. The weights of the last step stand beside those that validation chose.

    Args:
        classes: their names, in the order of their labels.
        modalities: role -> how it is called in titles.
        references: id -> ``{title, method}``: classifiers (partial, of `fusionbench.classical.classification`) fitted
            on each modality and on the stack.
        colours: of the classes on maps, as ``#rrggbb``; None: a set of well-told-apart ones.
        options: of `SceneEvaluator`.

    Raises:
        ConfigError: fewer than two classes, or fewer colours than classes.
    """

    name = "classification"
    version = 1
    monitor = ("val/OA", "max")
    titles: Mapping[str, str] = {"test": "Test pixels"}

    def __init__(
        self,
        *,
        classes: Sequence[str],
        modalities: Mapping[str, str],
        references: Mapping[str, Mapping[str, Any]] | None = None,
        colours: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.classes, self.modalities = list(classes), dict(modalities)
        if len(self.classes) < 2:
            raise ConfigError(f"data.classes={self.classes}: two or more")
        self.colours = maps.colours_of(len(self.classes), colours)
        self._references = {key: dict(node) for key, node in (references or {}).items()}
        self.baselines |= self._rows()
        self._regime: Any = None
        self._data: Any = None
        self._fuse: Fuse | None = None
        self._last: dict[str, Tensor] | None = None

    def _rows(self) -> dict[str, Comparison]:
        found = {}
        sets = {role: ([role], title) for role, title in self.modalities.items()}
        if len(sets) > 1:
            sets["stack"] = (list(self.modalities), "stack")
        for key, node in self._references.items():
            for suffix, (roles, title) in sets.items():
                method = node["method"](classes=len(self.classes), modalities=roles)
                found[f"{key}_{suffix}"] = Comparison(f"{node['title']}, {title}", "classical", method)
        return found

    # --- before and while testing ---

    def score(self, batch: Mapping[str, Any], output: Tensor) -> dict[str, list[float]]:
        """OA and AA (percent) of each scene of a batch; see `Evaluator.score`."""
        found = [
            self._accuracies(labels, scores.argmax(0)) for labels, scores in zip(batch["target"], output, strict=True)
        ]
        return {"OA": [PERCENT * a.overall for a in found], "AA": [PERCENT * a.average for a in found]}

    def _accuracies(self, labels: Tensor, guess: Tensor) -> Accuracies:
        return accuracies(confusion_matrix(labels.flatten(), guess.flatten(), len(self.classes)))

    def prepare(self, datamodule: Any, fuse: Fuse, at_ratio: Callable[[int], Fuse]) -> None:
        """See `Evaluator.prepare`: reference classifiers are fitted to the training pixels."""
        self._data, self._fuse, self._regime = datamodule, fuse, getattr(fuse, "__self__", None)
        self.classes = list(datamodule.classes)  # of simulated scenes: the legend's
        rows = {key: row for key, row in self.baselines.items() if hasattr(row.method, "fit")}
        if not rows:
            return
        samples, labels = datamodule.training_pixels()
        tensors = {role: torch.from_numpy(x) for role, x in samples.items()}
        for row in rows.values():
            try:
                row.method.fit(tensors, torch.from_numpy(labels))  # type: ignore[operator]
            except UserError as error:
                raise DataError(f"{row.title}: {error}") from error

    def begin(self, test_sets: Sequence[str], run_dir: Path, method: str, kind: str = "network") -> None:
        """See `Evaluator.begin`."""
        super().begin(test_sets, run_dir, method, kind)
        self._last = self._last_weights(run_dir)

    def _last_weights(self, run_dir: Path) -> dict[str, Tensor] | None:
        """Weights of the last step, where validation chose others."""
        path = run_dir / "checkpoints" / "last.ckpt"
        training = (getattr(self._regime, "facts", None) or {}).get("training") or {}
        if not path.is_file() or training.get("best_step") in (None, training.get("steps")):
            return None
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}

    def _compare(self, set_name: str, scene: Any) -> list[Fused]:
        found = super()._compare(set_name, scene)
        name, kind = self._method
        if self._last is not None and self._fuse is not None and kind == "network":
            network: nn.Module = self._regime.network
            chosen = copy.deepcopy(network.state_dict())
            try:
                network.load_state_dict(self._last)
                image = self._image("", self._fuse(scene), scene)
            finally:
                network.load_state_dict(chosen)
            found.insert(0, Fused(name + LAST, kind, image, None))
        return found

    def _further_rows(self) -> dict[str, Method]:
        if self._last is None:
            return {}
        title = str(((self._regime.facts or {}).get("card") or {}).get("name") or self._method[0])
        return {self._method[0] + LAST: Method(f"{title}, last step", "network")}

    # --- indices ---

    def _image(self, name: str, output: Tensor, scene: Any) -> Tensor:
        """Class indices [1,H,W], -1 at pixels that were not asked for."""
        size = tuple(scene["target"].shape[-2:])
        if output.ndim != 4 or output.shape[1] != len(self.classes) or tuple(output.shape[-2:]) != size:
            raise DataError(
                f"{name}: scores {tuple(output.shape)} for {len(self.classes)} classes and a scene of {size[0]} x "
                f"{size[1]} px"
            )
        guess = output.detach().argmax(1)
        return guess.masked_fill(~scene["asked"][:, 0], -1)

    def _odd(self, image: Tensor | None, scene: Any) -> list[str]:
        return []

    def _measured(self, set_name: str, scene: Any, image: Tensor) -> tuple[dict[str, float], list[str]]:
        labels = scene["target"]
        missing = int(((labels >= 0) & (image < 0)).sum())
        if missing:
            raise DataError(f"{missing} labelled test pixels were not classified")
        counts = confusion_matrix(labels.flatten(), image.flatten(), len(self.classes))
        found = accuracies(counts)
        values = {
            "OA": PERCENT * found.overall,
            "AA": PERCENT * found.average,
            "kappa": PERCENT * found.kappa,
            "F1": PERCENT * found.f1,
        }
        entries = {f"K_{i}_{j}": float(counts[i, j]) for i, j in counts.nonzero().tolist()}
        return values | entries, []

    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        scores = {key: IndexInfo("max", "%" if key != "kappa" else "", 2, text) for key, text in SCORES.items()}
        return dict.fromkeys(self._sets, scores)

    def _info(self, scene: Any) -> Scene:
        """Size, and what tells the labelled test pixels from any others: class counts and where they lie."""
        labels = scene["target"][0]
        rows, columns = (labels >= 0).nonzero().double().T
        counted = labels[labels >= 0]
        counts = torch.bincount(counted, minlength=len(self.classes)).tolist()
        places = [float(rows.mean()), float(columns.mean()), float(rows.std()), float(columns.std())]
        weighted = float((counted.double() * (rows + 1) * (columns + 2)).mean())
        return Scene(int(labels.shape[0]), int(labels.shape[1]), 1.0, [*map(float, counts), *places, weighted])

    # --- pictures ---

    def _painted(self, set_name: str, name: str, scene: Any, images: Mapping[str, Tensor]) -> list[Picture]:
        labels = scene["target"]
        if self._folder is None or min(labels.shape[-2:]) < 3:
            return []  # pixels without positions
        written = []
        note = (
            "Classes: " + ", ".join(self.classes) + ". Colours in the legend above; black: no label or not asked for."
        )
        shown = {TRUTH: labels} | {key: image for key, image in images.items() if not key.endswith(LAST)}
        for role, title in self.modalities.items():
            path = self._folder / f"{plain(f'{set_name}-{name}-{role}')}.png"
            picture = maps.enlarged(maps.view(scene[role][0]))
            written.append(write_picture(path, set_name, name, title, "map", picture, note=note))
        for key, image in shown.items():
            path = self._folder / f"{plain(f'{set_name}-{name}-{key}')}.png"
            picture = maps.enlarged(maps.coloured(image[0].cpu(), self.colours))
            written.append(write_picture(path, set_name, name, key, "map", picture, note=note))
        return written

    def _draw(self, run_dir: Path, seen: list[Seen], metrics: Metrics, facts: RunFacts) -> list[Picture]:
        found = super()._draw(run_dir, seen, metrics, facts)
        folder = run_dir / FIGURES
        maps.draw_legend(folder / "legend.png", self.classes, self.colours)
        found.append(Picture(f"{FIGURES}/legend.png", "", "", metrics.method, "plot", note="Colours of the classes."))
        for name in self._sets:
            counts = self._counts([row for item in seen if item.set == name for row in item.rows], metrics.method)
            if counts is not None and "@" not in name:
                path = folder / f"{plain(name)}-confusion.png"
                maps.draw_confusion(path, counts, self.classes)
                called = metrics.model.name or metrics.method
                text = f"Confusion matrix of {called}, summed over scenes, percent of each row."
                found.append(Picture(f"{FIGURES}/{path.name}", "", "", metrics.method, "plot", note=text))
        return found

    # --- what is concluded ---

    def _counts(self, rows: Sequence[SceneRow], method: str) -> Tensor | None:
        """Confusion matrix of a method over all scenes; None where it has no row."""
        mine = [row for row in rows if row.method == method]
        counts = torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)
        for row in mine:
            for key, value in row.values.items():
                entry = ENTRY.fullmatch(key)
                if entry is not None:
                    counts[int(entry[1]), int(entry[2])] += int(value)
        return counts if mine else None

    def _concluded(self, metrics: Metrics, seen: list[Seen]) -> Metrics:
        sets = dict(metrics.sets)
        notes = list(self._data.notes()) if hasattr(self._data, "notes") else []
        title = sets[self._sets[0]].rows[metrics.method].title
        for name, found in sets.items():
            rows = dict(found.rows)
            if any(text.startswith("best_on_test") for text in notes) and metrics.method in rows:
                rows[metrics.method] = replace(rows[metrics.method], title=f"{title}, best_on_test")
            sets[name] = replace(found, rows=rows, notes=[*found.notes, *notes])
        findings = list(metrics.findings)
        for name in [name for name in self._sets if "@" not in name]:
            rows_here = [row for item in seen if item.set == name for row in item.rows]
            best = max(
                (
                    row
                    for row in sets[name].rows.values()
                    if row.kind == "classical" and row.name != metrics.method and row.values
                ),
                key=lambda row: row.values["OA"].mean,
                default=None,
            )
            findings.append(self._per_class(metrics, rows_here, None if best is None else (best.name, best.title)))
        return replace(metrics, sets=sets, findings=findings)

    def _per_class(self, metrics: Metrics, rows: Sequence[SceneRow], best: tuple[str, str] | None) -> Finding:
        counts = self._counts(rows, metrics.method)
        if counts is None:
            raise DataError(f"no scene was scored for {metrics.method}")
        own = accuracies(counts)
        other = None if best is None else self._counts(rows, best[0])
        others = None if other is None else accuracies(other)
        trained = self._data.counts("train") if self._data is not None else [0] * len(self.classes)
        columns = ["class", "training pixels", "test pixels", "recall [%]", "precision [%]", "F1 [%]"]
        lines = []
        for i, name in enumerate(self.classes):
            numbers = [PERCENT * values[i] for values in (own.recall, own.precision, own.f1_of)]
            line = [
                name,
                marks.count(trained[i]),
                marks.count(int(counts[i].sum())),
                *(marks.number(x, 1) for x in numbers),
            ]
            lines.append(line if others is None else [*line, marks.number(PERCENT * others.f1_of[i], 1)])
        if best is not None and others is not None:
            columns.append(f"F1 of {best[1]} [%]")
        text = (
            f"Pooled over all scenes: OA {PERCENT * own.overall:.2f} %, AA {PERCENT * own.average:.2f} %, kappa "
            f"{own.kappa:.4f}, F1 {PERCENT * own.f1:.2f} %."
        )
        return Finding(f"Per class: {metrics.model.name or metrics.method}", columns, lines, [text])

    def _options(self) -> dict[str, Any]:
        return {"classes": self.classes}
