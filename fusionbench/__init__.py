"""fusionbench: training and benchmarking of deep learning in multimodal remote-sensing data fusion."""

__version__ = "0.1.0"
