"""Terms that compare what images are used for: spectral indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from fusionbench.losses.term import Term, masked_mean
from fusionbench.sensors import index_bands


class SpectralIndex(Term):
    """Mean absolute difference of a normalised difference (a - b) / (a + b) of two bands, such as NDVI.

    For any supervised method, beside a term that sees all bands. A run trained with it is marked where it is scored by
    the same index (``evaluator=application``).

    Args:
        index: ``NDVI`` or ``NDWI``.
        bands: of the sensor, mappings with ``center`` in nm.
        offset: of the method's range of values (``value_range.offset``), taken off first.
        least: smallest sum of the two bands that is divided by, above the offset: dark pixels count less.

    Raises:
        ConfigError: an unknown index, or the sensor has not the bands.
    """

    def __init__(
        self,
        index: str,
        bands: Sequence[Mapping[str, Any]],
        offset: float = 0.0,
        least: float = 0.01,
        output: str = "output",
        role: str = "target",
    ) -> None:
        super().__init__()
        self.pair = index_bands(index, [float(band["center"]) for band in bands])
        self.offset, self.least = offset, least
        self.outputs, self.roles = (output,), (role,)

    def forward(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        difference = self._index(outputs[self.outputs[0]]) - self._index(batch[self.roles[0]])
        return masked_mean(difference.abs(), mask)

    def _index(self, image: Tensor) -> Tensor:
        """[N,1,H,W] of an image [N,B,H,W]."""
        a, b = (image[:, band : band + 1] - self.offset for band in self.pair)
        return (a - b) / (a + b).clamp(min=self.least)
