"""Data sets: where their files lie, how they are read, split, degraded and handed to a regime."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Located": "locate",
        "locate": "locate",
        "resolve_source": "locate",
        "MapDataModule": "maps",
        "PixelDataModule": "classification",
        "PlacesDataModule": "places",
        "register_resolvers": "resolvers",
        "HyperspectralDataModule": "hyperspectral",
        "SpatioSpectralDataModule": "spatiospectral",
    },
)
