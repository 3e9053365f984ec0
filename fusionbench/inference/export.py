"""A trained network as a file: a ``torch.export`` program (.pt2) or ONNX (.onnx), checked at another size."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, RefusedError, UserError

SUFFIXES = (".pt2", ".onnx")
EXTRA = ("onnx", "onnxruntime", "onnxscript")
FACTS = "fusionbench.json"  # beside the program in a .pt2; the property ``fusionbench`` in ONNX
LEAST = 4  # px of lr, sides that are free
SIZE = 256  # px of the guide, sides that are not
# of the largest value of an output: kernels of another library add in another order
TOLERANCE = 1e-4
Pair = tuple[Tensor, Tensor]


class Fuser(Protocol):
    """What an export needs of a regime."""

    network: nn.Module
    values: Any

    def fuse(self, batch: dict[str, Any]) -> Tensor: ...


@dataclass(frozen=True)
class Exported:
    """A file that was written and what it takes.

    Attributes:
        free: whether height and width are.
        size: of the guide, px: the least height and width where they are free (multiples of the ratio), else the only.
        difference: largest absolute difference to the network on a batch of another size, image units.
    """

    path: Path
    free: bool
    size: int
    difference: float


class _Fused(nn.Module):
    """lr [N,B,h,w], guide [N,1,H,W] in DN / (2^bits - 1) -> fused [N,B,H,W] in the same units."""

    bits: Tensor

    def __init__(self, fuser: Fuser, bits: int) -> None:
        super().__init__()
        self.network, self._values = fuser.network, fuser.values
        self.register_buffer("bits", torch.tensor([bits]))

    def forward(self, lr: Tensor, guide: Tensor) -> Tensor:
        batch = {"lr": lr, "guide": guide, "bits": self.bits}
        inputs = self._values.into(batch)
        found = self.network(inputs["lr"], inputs["guide"])
        return self._values.back(found["output"] if isinstance(found, Mapping) else found, batch)


def export_network(fuser: Fuser, facts: Mapping[str, Any], out: Path, size: int = SIZE) -> Exported:
    """Write a trained network as a program that runs without fusionbench, with any batch, height and width.

    The program takes lr [N,B,h,w] and guide [N,1,H,W], float32 in DN / (2^bits - 1), and gives the fused image
    [N,B,H,W] in the same units. What it was made for (sensor, bits, ratio, pixel grid, ...) is written into the file.
    A network of windows wider than an MS pixel (``size_multiple`` above the ratio) keeps one height and width: tracing
    its window arithmetic with free ones does not end in minutes.

    Args:
        fuser: a regime (``network``, ``values``, ``fuse``), on the CPU.
        facts: of its checkpoint.
        out: the file; its suffix chooses the format.
        size: height and width of the guide where they are not free, px.

    Raises:
        ConfigError: a suffix other than .pt2 and .onnx, ONNX without the extra ``export``, a size that does not fit.
        RefusedError: the method has no trained network, or its network cannot be traced.
        UserError: the program's output differs from the network's.
    """
    check_export(facts, out)
    ratio, bands, name = int(facts["ratio"]), int(facts["channels"]["lr"]), str(facts["card"]["id"])
    multiple = int(getattr(fuser.network, "size_multiple", 1))
    free = ratio % multiple == 0
    if not free and size % math.lcm(ratio, multiple):
        raise ConfigError(f"size={size}: {name} takes multiples of {math.lcm(ratio, multiple)} px")
    sides, others = ((16, 24), (28, 20)) if free else ((size // ratio,) * 2,) * 2
    module = _Fused(fuser, int(facts["bits"])).cpu().eval().requires_grad_(False)
    with _quiet():
        with _refusing(name, "traced"):
            program = torch.export.export(module, _pair(2, bands, *sides, ratio), dynamic_shapes=_dims(ratio, free))
        handle, partial = tempfile.mkstemp(dir=out.absolute().parent, suffix=out.suffix)
        os.close(handle)
        try:
            least = ratio * LEAST if free else size
            with _refusing(name, f"written as {out.suffix}"):
                run = _write(program, Path(partial), _about(facts, free, least))
            difference = _difference(run, fuser, _pair(3, bands, *others, ratio), facts, name)
            os.chmod(partial, 0o644)
            os.replace(partial, out)
        finally:
            Path(partial).unlink(missing_ok=True)
    return Exported(out, free, least, difference)


def check_export(facts: Mapping[str, Any], out: Path) -> None:
    """What can be refused before anything is traced; see ``export_network``."""
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"out={out}: ends in {out.suffix or 'nothing'}; the formats are {' and '.join(SUFFIXES)}")
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if out.suffix == ".onnx" and missing:
        raise ConfigError(
            f"out={out}: ONNX needs {', '.join(missing)}: pip install 'fusionbench[export]'; .pt2 needs nothing more"
        )
    card = facts["card"]
    reasons = {
        "classical": "is a formula without a trained network",
        "per_scene": "is fitted to each scene: no trained network is left behind",
    }
    if card.get("regime") in reasons:
        raise RefusedError(f"{card.get('id')} {reasons[card['regime']]}; use predict, which runs it on a scene")


def _dims(ratio: int, free: bool) -> dict[str, dict[int, Any]]:
    """Which sides may change: the batch, and those of lr where they are free, which the guide's follow."""
    batch = torch.export.Dim("batch", min=1)
    if not free:
        return {"lr": {0: batch}, "guide": {0: batch}}
    rows, columns = torch.export.Dim("rows", min=LEAST), torch.export.Dim("columns", min=LEAST)
    return {"lr": {0: batch, 2: rows, 3: columns}, "guide": {0: batch, 2: ratio * rows, 3: ratio * columns}}


def _pair(images: int, bands: int, height: int, width: int, ratio: int) -> Pair:
    """Random lr and guide in [0, 1]; height and width are those of lr."""
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(images, bands, height, width, generator=generator)
    return lr, torch.rand(images, 1, ratio * height, ratio * width, generator=generator)


def _about(facts: Mapping[str, Any], free: bool, size: int) -> str:
    about = {key: facts[key] for key in ("sensor", "bits", "ratio", "grid", "channels", "versions")}
    about |= {"model": facts["card"]["id"], "units": "DN / (2^bits - 1)", "least_size" if free else "size": size}
    about |= {"inputs": {"lr": "[N,B,h,w]", "guide": "[N,1,H,W]"}, "output": "[N,B,H,W]"}
    return json.dumps(about)


def _write(program: Any, path: Path, about: str) -> Callable[[Pair], Tensor]:
    """Write the program and read it back: what it computes."""
    if path.suffix == ".pt2":
        torch.export.save(program, path, extra_files={FACTS: about})
        return lambda pair: torch.export.load(path).module()(*pair)
    made = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        optimize=False,  # its constant folding fails on the interpolators' computed indices
        input_names=["lr", "guide"],
        output_names=["output"],
        custom_translation_table={torch.ops.aten.remainder.Scalar: _remainder},
    )
    assert made is not None  # None is for the exporter that dynamo replaced
    made.model.metadata_props["fusionbench"] = about
    made.save(path, external_data=False)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pair: torch.from_numpy(session.run(None, {"lr": pair[0].numpy(), "guide": pair[1].numpy()})[0])


def _remainder(self: Any, other: Any) -> Any:
    """Indices modulo a size that is known when the program runs; the exporter's own takes constants only."""
    from onnxscript import opset18

    return opset18.Mod(self, opset18.CastLike(other, self))


def _difference(run: Callable[[Pair], Tensor], fuser: Fuser, pair: Pair, facts: Mapping[str, Any], name: str) -> float:
    """Largest difference between program and method on a pair.

    Raises:
        UserError: it is more than rounding.
    """
    count = len(pair[0])
    with torch.no_grad():
        expected = fuser.fuse({"lr": pair[0], "guide": pair[1], "bits": torch.full((count,), int(facts["bits"]))})
        got = run(pair)
    difference = float((got - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise UserError(
            f"{name}: the exported program differs from the network by {difference:.2g} (allowed {allowed:.2g}) on "
            f"{pair[1].shape[-2]} x {pair[1].shape[-1]} px; nothing was written. Use predict, which runs it as it is"
        )
    return difference


@contextmanager
def _refusing(name: str, done: str) -> Iterator[None]:
    """What a tracer or converter meets in a network, said in a line."""
    try:
        yield
    except Exception as error:  # of a hundred kinds
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = f"{type(error).__name__}: {lines[0][:200] if lines else ''}"
        raise RefusedError(
            f"{name}: its network cannot be {done} ({said}); use predict, which runs it as it is"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the tracers' notes to their developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
