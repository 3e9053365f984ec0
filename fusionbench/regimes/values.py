"""The range of values a method was published on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fusionbench.errors import ConfigError

IMAGES = ("lr", "guide", "target")  # roles that hold the sensor's values; heights, masks and the like stay as they are


class ValueRange:
    """Maps images from the batch's units (DN / (2^bits - 1)) to a method's own, x' = scale x + offset, and back.

    Args:
        scale: a number, or ``dn``: the method takes digital numbers.
        offset: added after scaling; ``scale: 2, offset: -1`` is [-1, 1].

    Raises:
        ConfigError: an unknown key, or a scale that is none.
    """

    def __init__(self, scale: float | str = 1.0, offset: float = 0.0) -> None:
        if scale != "dn" and (isinstance(scale, bool | str) or not scale > 0):
            raise ConfigError(f"model.module.value_range.scale={scale}: a number above 0, or dn")
        self.scale, self.offset = scale, float(offset)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any] | None) -> ValueRange:
        """From ``model.module.value_range``; None: the batch's own units."""
        settings = dict(settings or {})
        unknown = sorted(set(settings) - {"scale", "offset"})
        if unknown:
            raise ConfigError(f"model.module.value_range.{unknown[0]}: unknown; it takes scale and offset")
        return cls(**settings)

    @property
    def identity(self) -> bool:
        """Whether the method's range is the batch's."""
        return self.scale == 1 and self.offset == 0

    def into(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch with its images in the method's range."""
        mapped = dict(batch)
        if not self.identity:
            scale = self._scale(batch)
            mapped |= {role: batch[role] * scale + self.offset for role in IMAGES if role in batch}
        return mapped

    def back(self, image: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """A method's image [N,B,H,W] in the batch's units."""
        return image if self.identity else (image - self.offset) / self._scale(batch)

    def _scale(self, batch: Mapping[str, Any]) -> Any:
        if self.scale != "dn":
            return self.scale
        guide = batch["guide"] if "guide" in batch else batch["lr"]
        return (2.0 ** batch["bits"].to(guide) - 1).reshape(-1, 1, 1, 1)
