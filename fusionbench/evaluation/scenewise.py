"""What evaluators that score scene by scene share: comparison rows, one record of all scenes, figures, report."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fusionbench.errors import ConfigError, DataError, UserError
from fusionbench.evaluation import summary
from fusionbench.evaluation.base import Evaluator, gather
from fusionbench.evaluation.facts import RunFacts
from fusionbench.evaluation.plots import Spectrum, draw_curves, read_log
from fusionbench.evaluation.report import write_report
from fusionbench.evaluation.schema import (
    EvaluatorInfo,
    IndexInfo,
    Metrics,
    Picture,
    Scene,
    SceneRow,
    write_metrics,
    write_scenes,
)
from fusionbench.networks.roles import Roles, device_of

FIGURES = "figures"
KINDS = ("classical", "interpolation", "reference")


@dataclass(frozen=True)
class Comparison:
    """A method without training that is run on the same scenes.

    Args:
        title: as printed.
        kind: ``classical``, ``interpolation`` or ``reference`` (a ceiling, no method).
        method: module whose ``forward`` names the roles it takes.
    """

    title: str
    kind: str
    method: torch.nn.Module


@dataclass
class Fused:
    """What one method made of a scene, in the evaluator's units, or why there is nothing."""

    name: str
    kind: str
    image: Tensor | None
    seconds: float | None
    skipped: str | None = None


class SceneEvaluator(Evaluator):
    """Scores every scene by itself, for the method under test and for comparison rows on the same scenes.

    A subclass says in ``_described`` which indices there are on which test set and computes them in ``_measured``;
    everything else has a sensible default.

    Args:
        baselines: id -> ``{title, kind, method}``; ``method`` is a module whose ``forward`` names its roles.
        figures: settings of the pictures; ``scenes``: how many are drawn per test set.

    Attributes:
        titles: test set -> heading.

    Raises:
        ConfigError: baselines that cannot be used.
    """

    titles: Mapping[str, str] = {"test": "Test scenes"}

    def __init__(
        self,
        *,
        baselines: Mapping[str, Mapping[str, Any]] | None = None,
        figures: Mapping[str, int] | None = None,
    ) -> None:
        self.baselines = {key: _comparison(key, value) for key, value in (baselines or {}).items()}
        self.figures = {"scenes": 2} | dict(figures or {})
        self._seen: list[summary.Seen] = []
        self._method = ("", "network")
        self._sets: list[str] = []
        self._folder: Path | None = None
        self._warm: set[str] = set()
        self._drawn: dict[str, int] = {}

    # --- test ---

    def begin(self, test_sets: Sequence[str], run_dir: Path, method: str, kind: str = "network") -> None:
        """See `Evaluator.begin`."""
        self._seen, self._sets, self._method = [], list(test_sets), (method, kind)
        self._folder, self._warm, self._drawn = run_dir / FIGURES, set(), {}

    @torch.no_grad()
    def observe(self, set_name: str, batch: Mapping[str, Any], output: Tensor, seconds: float | None) -> None:
        """See `Evaluator.observe`.

        Raises:
            DataError: more than one scene in the batch, or an output of another size.
        """
        if self._folder is None or set_name not in self._sets:
            raise DataError(f"test set {set_name!r} was not announced; begin() named {', '.join(self._sets) or 'none'}")
        if len(batch["scene"]) != 1:
            raise DataError(f"a test batch holds one scene, got {len(batch['scene'])}")
        name, scene = str(batch["scene"][0]), self._scene(batch)
        own = Fused(*self._method, self._image(name, output, scene), seconds)
        products = [own, *self._compare(set_name, scene)]
        notes = [f"{name}, {p.name}: {text}" for p in products for text in self._odd(p.image, scene)]
        products = [p if p.image is None else replace(p, image=self._treated(p.image, scene)) for p in products]
        images = {product.name: product.image for product in products if product.image is not None}
        info, rows = self._info(scene), []
        for product in products:
            if product.image is None:
                continue
            values, missing = self._measured(set_name, scene, product.image)
            notes += [f"{name}, {product.name}: {text}" for text in missing]
            rows.append(_row(set_name, name, product, values, info))
        self._drawn[set_name] = self._drawn.get(set_name, 0) + 1
        drawn = self._drawn[set_name] <= self.figures["scenes"]
        pictures = self._painted(set_name, name, scene, images) if drawn else []
        self._seen.append(
            summary.Seen(
                set=set_name,
                scene=name,
                info=info,
                rows=rows,
                skipped={product.name: product.skipped for product in products if product.skipped is not None},
                notes=notes,
                pictures=pictures,
                spectra=self._spectra(scene, images) if pictures else [],
            )
        )
        self._seen += self._further(set_name, batch, scene, products)

    # --- what a task says of itself ---

    @abstractmethod
    def _described(self) -> dict[str, dict[str, IndexInfo]]:
        """Test set -> index -> what it is, in the order to print."""

    @abstractmethod
    def _measured(self, set_name: str, scene: Any, image: Tensor) -> tuple[dict[str, float], list[str]]:
        """Every index of one product (NaN where it does not exist), and why values are missing.

        Values that are not described, such as counts to be summed over scenes, go into ``scenes.csv`` only.
        """

    def _scene(self, batch: Mapping[str, Any]) -> Any:
        """One scene as the other hooks take it; here the batch itself."""
        return batch

    def _image(self, name: str, output: Tensor, scene: Any) -> Tensor:
        """A method's output in the units in which it is scored; DataError for one of another size."""
        return output.detach()

    def _call(self, method: torch.nn.Module, scene: Any) -> Tensor:
        """What a comparison row makes of a scene, in the units in which it is scored."""
        found: Tensor = method(**Roles.of(method).take(scene))
        return self._image(str(scene["scene"][0]), found, scene)

    def _compare(self, set_name: str, scene: Any) -> list[Fused]:
        """The comparison rows on one scene; one that cannot take it says why and stops no other."""
        found = []
        device = self._device(scene)
        for name, row in self.baselines.items():
            if name == self._method[0]:
                continue
            method = row.method.to(device).eval()
            try:
                if set_name not in self._warm:  # as for the method under test: the first call also allocates
                    self._call(method, scene)
                start = _clock(device)
                image = self._call(method, scene)
            except UserError as error:
                found.append(Fused(name, row.kind, None, None, str(error)))
                continue
            found.append(Fused(name, row.kind, image, _clock(device) - start))
        self._warm.add(set_name)
        return found

    def _device(self, scene: Any) -> torch.device:
        return device_of(scene)

    def _odd(self, image: Tensor | None, scene: Any) -> list[str]:
        """What a reader must know of values that cannot be; here whether all are finite."""
        infinite = 0 if image is None else int((~torch.isfinite(image)).sum())
        return [f"{infinite} values are not finite"] if infinite else []

    def _treated(self, image: Tensor, scene: Any) -> Tensor:
        """A product as it is scored and drawn; here as it is."""
        return image

    def _info(self, scene: Any) -> Scene:
        """Size and fingerprint of a scene; here of a batch with ``target`` [1,...,H,W]."""
        target, valid = scene["target"], scene.get("valid")
        share = 1.0 if valid is None else float(valid.double().mean())
        tensors = [v.double() for k, v in sorted(scene.items()) if isinstance(v, Tensor) and v.ndim > 2]
        finite = [torch.nan_to_num(v) for v in tensors]
        numbers = [number for v in finite for number in (float(v.mean()), float(v.std(correction=0)))]
        height, width = (target.shape[-2], target.shape[-1]) if target.ndim > 2 else (1, 1)
        return Scene(int(height), int(width), share, [float(f"{number:.9g}") for number in numbers])

    def _painted(self, set_name: str, name: str, scene: Any, images: Mapping[str, Tensor]) -> list[Picture]:
        """Write the pictures of one scene (``pictures.write_picture``); here none."""
        return []

    def _spectra(self, scene: Any, images: Mapping[str, Tensor]) -> list[Spectrum]:
        """Spectra of a few places; here none."""
        return []

    def _further(
        self, set_name: str, batch: Mapping[str, Any], scene: Any, products: Sequence[Fused]
    ) -> list[summary.Seen]:
        """What else an evaluator sees of a scene: items of further test sets; here none."""
        return []

    def _further_rows(self) -> dict[str, summary.Method]:
        """Rows that are no method; here none."""
        return {}

    def _pooled(self, set_name: str, rows: Sequence[SceneRow]) -> dict[str, float]:
        """Indices whose value for the set is not the mean over its scenes, e.g. from counts; here none.

        Args:
            rows: of one method, one per scene.
        """
        return {}

    def _options(self) -> dict[str, Any]:
        """What changes the scores."""
        return {}

    def _concluded(self, metrics: Metrics, seen: list[summary.Seen]) -> Metrics:
        """The record with what an evaluator concludes from all scenes; here nothing is added."""
        return metrics

    # --- what is left behind ---

    def finish(self, run_dir: Path, facts: RunFacts) -> Metrics | None:
        """See `Evaluator.finish`."""
        seen = gather(self._seen)
        if seen is None:
            return None
        if not seen:
            raise DataError("no test scene was observed: the data set has no test scenes")
        method, kind = self._method
        rows = {key: summary.Method(value.title, value.kind) for key, value in self.baselines.items() if key != method}
        own = {method: summary.Method(facts.model.name or method, kind)}
        pages = summary.Protocol(
            EvaluatorInfo(self.name, self.version, self._options()),
            self._sets,
            self._described(),
            self._further_rows() | rows | own,
            method,
            dict(self.titles),
            self._pooled,
        )
        metrics = summary.summarised(seen, pages, facts, self.figures["scenes"])
        metrics = self._concluded(metrics, summary.in_order(seen, self._sets))
        extra = self._draw(run_dir, seen, metrics, facts)
        metrics = replace(metrics, pictures=metrics.pictures + extra)
        write_scenes(run_dir, summary.scene_rows(seen, pages))
        write_metrics(run_dir, metrics)
        write_report(run_dir, metrics, facts)
        return metrics

    def _draw(self, run_dir: Path, seen: list[summary.Seen], metrics: Metrics, facts: RunFacts) -> list[Picture]:
        """The learning curves, where there was a training."""
        curves = read_log(facts.log) if facts.log is not None and facts.log.is_file() else {}
        if draw_curves(run_dir / FIGURES / "curves.png", curves):
            return [Picture(f"{FIGURES}/curves.png", "", "", metrics.method, "curves")]
        return []


def _comparison(name: str, node: Mapping[str, Any]) -> Comparison:
    known = set(Comparison.__dataclass_fields__)
    if set(node) != known:
        raise ConfigError(f"evaluator.baselines.{name}: it takes {', '.join(sorted(known))}, got {', '.join(node)}")
    if node["kind"] not in KINDS:
        raise ConfigError(f"evaluator.baselines.{name}.kind={node['kind']}: one of {', '.join(KINDS)}")
    return Comparison(**node)


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _row(set_name: str, scene: str, product: Fused, values: dict[str, float], info: Scene) -> SceneRow:
    shift = info.shift
    moved = {} if shift is None else {
        "shift_dy": shift.dy, "shift_dx": shift.dx, "r2_before": shift.r2_before, "r2_after": shift.r2_after,
    }  # fmt: skip
    return SceneRow(
        set_name, scene, product.name, product.kind, values,
        valid_share=info.valid_share, seconds=product.seconds, **moved,
    )  # fmt: skip
