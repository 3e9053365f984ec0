"""Sensors as records: bands, GSD, ratio, bit depth, MTF gains, read from ``configs/sensor``. Torch-free."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "INDICES": "spectral",
        "index_bands": "spectral",
        "Band": "record",
        "Lidar": "active",
        "Radar": "active",
        "Sensor": "record",
        "load_lidar": "catalogue",
        "load_radar": "catalogue",
        "load_sensor": "catalogue",
        "sensor_ids": "catalogue",
        "spectrometer": "record",
    },
)
