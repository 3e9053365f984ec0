"""Normalised differences of two bands: which bands of a sensor they take. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from fusionbench.errors import ConfigError
from fusionbench.sensors.record import GREEN, RED

NEAR_INFRARED = 842.0
REACH = 60.0  # nm; a band whose centre lies farther away is another one

# name -> wavelengths (nm) of a and b in (a - b) / (a + b)
INDICES = {
    "NDVI": (NEAR_INFRARED, RED),  # Rouse et al., NASA SP-351, 1974
    "NDWI": (GREEN, NEAR_INFRARED),  # McFeeters, IJRS 17(7), 1996
}


def index_bands(name: str, centers: Sequence[float]) -> tuple[int, int]:
    """Positions of the two bands of an index.

    Args:
        name: one of `INDICES`.
        centers: nm, of each band.

    Raises:
        ConfigError: an unknown index, or no band within 60 nm of where it looks.
    """
    if name not in INDICES:
        raise ConfigError(f"index {name!r} is none of {', '.join(INDICES)}")
    found = []
    for wanted in INDICES[name]:
        band = min(range(len(centers)), key=lambda i: abs(centers[i] - wanted))
        if abs(centers[band] - wanted) > REACH:
            raise ConfigError(f"{name} needs a band near {wanted:g} nm, the nearest lies at {centers[band]:g} nm")
        found.append(band)
    return found[0], found[1]
