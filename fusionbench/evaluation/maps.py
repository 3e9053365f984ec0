"""Pictures of class maps: colours, legend, confusion matrix, a view of a modality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fusionbench.errors import ConfigError
from fusionbench.evaluation.plots import INK
from fusionbench.imaging.composite import composite, stretch_limits

COLOURS = (
    "#1f77b4", "#2ca02c", "#d62728", "#ffbf00", "#9467bd", "#8c564b", "#17becf", "#e377c2", "#bcbd22", "#7f7f7f",
    "#98df8a", "#aec7e8", "#ff9896", "#c5b0d5", "#ff7f0e", "#005f3c", "#f7f7b0", "#5b2c83", "#00e5c0", "#a83200",
)  # fmt: skip
NOTHING = (0, 0, 0)


def colours_of(classes: int, given: Sequence[str] | None) -> list[str]:
    """A colour per class.

    Raises:
        ConfigError: fewer colours than classes.
    """
    chosen = list(COLOURS if given is None else given)
    if len(chosen) < classes:
        raise ConfigError(f"evaluator.colours: {len(chosen)} colours for {classes} classes")
    return chosen[:classes]


def coloured(labels: Tensor, colours: Sequence[str]) -> Tensor:
    """Class indices [H,W] (below 0: none, black) as a picture [H,W,3] uint8."""
    table = [NOTHING, *(tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in colours)]
    return torch.tensor(table, dtype=torch.uint8)[labels.long().clamp(min=-1) + 1]


def view(image: Tensor) -> Tensor:
    """A modality [B,H,W] as a picture [H,W,3] uint8: one band in grey, more as three bands spread over them."""
    image = image.detach().cpu().double()
    count = len(image)
    bands = [0] if count < 3 else [int(0.45 * (count - 1)), int(0.22 * (count - 1)), int(0.08 * (count - 1))]
    if count >= 3 and len(set(bands)) < 3:
        bands = [2, 1, 0]
    return composite(image, bands, stretch_limits(image[bands]))


def enlarged(picture: Tensor, side: int = 384) -> Tensor:
    """A small picture [H,W,3] with every pixel repeated, so that its longer side comes near ``side``."""
    times = max(side // max(picture.shape[:2]), 1)
    return picture.repeat_interleave(times, 0).repeat_interleave(times, 1)


def draw_legend(path: Path, classes: Sequence[str], colours: Sequence[str]) -> None:
    """The classes' names beside their colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    columns = 5
    lines = -(-len(classes) // columns)
    figure = Figure(figsize=(9, 0.28 * lines + 0.1))
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    patches = [Patch(color=colour, label=name) for name, colour in zip(classes, colours, strict=True)]
    figure.legend(handles=patches, loc="center", ncols=columns, fontsize=8, frameon=False, labelcolor=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)


def draw_confusion(path: Path, counts: Tensor, classes: Sequence[str]) -> None:
    """A confusion matrix [K,K] as shares of its rows (truth), in percent; rows without pixels stay empty."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shares = 100 * counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    side = 0.42 * len(classes) + 1.8
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    axis = figure.add_subplot()
    axis.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
    for i in range(len(classes)):
        for j in range(len(classes)):
            share = float(shares[i, j])
            if share >= 0.5:
                ink = "white" if share > 60 else "black"
                axis.text(j, i, f"{share:.0f}", ha="center", va="center", fontsize=7, color=ink)
    names = list(classes)
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7, color=INK)
    axis.set_yticks(range(len(names)), names, fontsize=7, color=INK)
    axis.set_xlabel("called", fontsize=8, color=INK)
    axis.set_ylabel("is", fontsize=8, color=INK)
    axis.tick_params(colors=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
