"""An index as torchmetrics.Metric: the mean over images of a per-image value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from fusionbench.errors import ConfigError


class MeanOverImages(Metric):
    """Mean of an index over all images seen, each computed in float64: how they were batched does not matter.

    An image without a value (NaN: no edge, no valid pixel ..) is left out of the mean and counted in ``undefined``.

    Args:
        options: keywords of the index's function, and those of ``torchmetrics.Metric``. An option that differs from
            batch to batch (``data_range``, ``ratio``) may be given to ``update`` instead.
    Raises:
        ConfigError: an option that the index does not have.
    """

    full_state_update = False
    is_differentiable = False
    index: ClassVar[Callable[..., Tensor]]

    total: Tensor
    count: Tensor
    undefined: Tensor

    def __init__(self, **options: Any) -> None:
        known = self.known_options()
        try:
            super().__init__(**{k: v for k, v in options.items() if k not in known})
        except ValueError as error:
            raise ConfigError(f"{type(self).__name__}: {error}; its own are {', '.join(known)}") from error
        self.options = {k: v for k, v in options.items() if k in known}
        for name in ("total", "count", "undefined"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    @classmethod
    def known_options(cls) -> list[str]:
        """Keywords of the index's function."""
        parameters = inspect.signature(cls.index).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    def _add(self, *images: Tensor, **options: Any) -> None:
        unknown = [name for name in options if name not in self.known_options()]
        if unknown:
            raise ConfigError(f"{type(self).__name__} has no option {unknown[0]!r}")
        values = type(self).index(*images, **(self.options | options))
        if values.ndim != 1:
            raise ConfigError(f"{type(self).__name__} takes one value per image, its options give {list(values.shape)}")
        defined = ~values.isnan()
        self.total += torch.where(defined, values, 0.0).sum()
        self.count += defined.sum()
        self.undefined += (~defined).sum()

    def compute(self) -> Tensor:
        """The mean, float64; NaN where no image has a value."""
        return self.total / self.count
