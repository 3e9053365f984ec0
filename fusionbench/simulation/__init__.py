"""The simulated world: procedural scenes, one per seed, and the sensors that observe them."""

from fusionbench._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Scene": "scene",
        "build_scene": "scene",
        "simulate_pair": "observe",
        "hs_bands": "spectral",
        "observe_bands": "spectral",
        "noisy": "spectral",
        "scene_for": "spectral",
        "simulate_hs_pair": "hs_pair",
        "simulate_lidar": "lidar",
        "simulate_sar": "radar",
        "simulate_polsar": "radar",
        "LEGENDS": "labels",
        "MASKS": "labels",
        "label_map": "labels",
        "masks": "labels",
        "abundances": "labels",
        "end_members": "labels",
        "simulate_classes": "classes",
        "simulate_unmixing": "classes",
        "simulate_extraction": "classes",
        "FUNCTIONS": "human",
        "add_clouds": "clouds",
        "simulate_cloudy": "clouds",
        "POINTS": "human",
        "build_town": "human",
        "simulate_zones": "human",
        "write": "files",
        "run": "check",
    },
)
