"""The range of values a method was published on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from fusionbench.errors import ConfigError

IMAGES = ("lr", "guide", "target")  # roles that hold the sensor's values; heights, masks and the like stay as they are


class ValueRange:
    """Maps images from the batch's units (the data card's) to a method's own, x' = scale x + offset, and back.

    Args:
        scale: a number, or ``dn``: the method takes digital numbers (optical images over 2^bits - 1 in the batch).
        offset: added after scaling; ``scale: 2, offset: -1`` is [-1, 1].
        images: roles that are mapped so; the output is mapped back.
        roles: further role -> its own ``{scale, offset}``, e.g. of ``sar``.

    Raises:
        ConfigError: an unknown key, or a scale that is none.
    """

    def __init__(
        self,
        scale: float | str = 1.0,
        offset: float = 0.0,
        images: Sequence[str] = IMAGES,
        roles: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        if scale != "dn" and (isinstance(scale, bool | str) or not scale > 0):
            raise ConfigError(f"model.module.value_range.scale={scale}: a number above 0, or dn")
        self.scale, self.offset, self.images = scale, float(offset), tuple(images)
        self.roles = {
            name: (float(to.get("scale", 1)), float(to.get("offset", 0))) for name, to in (roles or {}).items()
        }
        for name, to in (roles or {}).items():
            _known(f"roles.{name}", to, ("scale", "offset"))

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any] | None) -> ValueRange:
        """From ``model.module.value_range``; None: the batch's own units."""
        settings = dict(settings or {})
        _known("", settings, ("scale", "offset", "images", "roles"))
        return cls(**settings)

    @property
    def identity(self) -> bool:
        """Whether the method's images are in the batch's range."""
        return self.scale == 1 and self.offset == 0

    def into(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch with its images in the method's range."""
        mapped = dict(batch)
        if not self.identity:
            scale = self._scale(batch)
            mapped |= {role: batch[role] * scale + self.offset for role in self.images if role in batch}
        for role, (factor, offset) in self.roles.items():
            if role in batch:
                mapped[role] = batch[role] * factor + offset
        return mapped

    def back(self, image: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """A method's image [N,B,H,W] in the batch's units."""
        return image if self.identity else (image - self.offset) / self._scale(batch)

    def _scale(self, batch: Mapping[str, Any]) -> Any:
        if self.scale != "dn":
            return self.scale
        like = next(batch[role] for role in self.images if role in batch)
        return (2.0 ** batch["bits"].to(like) - 1).reshape(-1, 1, 1, 1)


def _known(where: str, settings: Mapping[str, Any], keys: Sequence[str]) -> None:
    unknown = sorted(set(settings) - set(keys))
    if unknown:
        place = ".".join(filter(None, ["model.module.value_range", where, unknown[0]]))
        raise ConfigError(f"{place}: unknown; it takes {', '.join(keys)}")
