"""Weights that change with the step."""

from __future__ import annotations

from collections.abc import Mapping

from fusionbench.errors import ConfigError


class Ramp:
    """``first`` until step ``start``, ``last`` from step ``end`` on, linear between.

    Args:
        first, last: weights.
        start, end: batches done.
    """

    def __init__(self, first: float, last: float, start: int, end: int) -> None:
        if end <= start:
            raise ConfigError(f"loss weight Ramp: end={end} must lie after start={start}")
        self.first, self.last, self.start, self.end = first, last, start, end

    def __call__(self, step: int) -> float:
        share = min(max((step - self.start) / (self.end - self.start), 0.0), 1.0)
        return self.first + share * (self.last - self.first)


class Steps:
    """A weight that changes at given steps: ``{0: 1.0, 1000: 0.1}`` is 1 for the first thousand batches, then 0.1."""

    def __init__(self, weights: Mapping[int, float]) -> None:
        self.weights = sorted((int(step), float(weight)) for step, weight in weights.items())
        if not self.weights or self.weights[0][0] != 0:
            raise ConfigError(f"loss weight Steps: weights={dict(weights)}; the first step must be 0")

    def __call__(self, step: int) -> float:
        return next(weight for start, weight in reversed(self.weights) if start <= step)
