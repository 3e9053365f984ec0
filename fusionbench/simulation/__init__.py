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
        "write": "files",
        "run": "check",
    },
)
