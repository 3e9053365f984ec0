"""A-PNN with its authors' weights gives the scores measured with their architecture, where weights and images are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.io import loadmat
from torch import Tensor

from fusionbench.imaging import expand
from fusionbench.metrics.functional import ergas, sam
from fusionbench.networks.pansharpening import APNN
from tests.data.composing import module

LAYERS = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "conv3.weight", "conv3.bias")


@pytest.mark.parametrize(
    ("data", "folder", "bits", "published"),
    [
        ("worldview2", "WV2", 11, {"exp": (7.68, 7.62), "apnn": (5.69, 3.88)}),
        ("geoeye1", "GeoEye1", 8, {"exp": (2.18, 1.64), "apnn": (1.52, 0.90)}),
    ],
)
def test_published_scores(
    data: str, folder: str, bits: int, published: dict[str, tuple[float, float]], shared: Path, tmp_path: Path
) -> None:
    weights = shared / "weights" / "apnn_theano" / folder / "PNN_model_10000.mat"
    if not weights.is_file() or not (shared / "data" / "pansharpening" / data).is_dir():
        pytest.skip("no published weights or no image")
    arrays = [torch.as_tensor(array, dtype=torch.float32) for array in loadmat(weights)["layers"].ravel()]
    state = {name: array.squeeze() if "bias" in name else array for name, array in zip(LAYERS, arrays, strict=True)}
    network = APNN(state["conv3.bias"].numel(), width=state["conv1.bias"].numel()).eval()
    network.load_state_dict(state)

    options = (f"paths.cache={tmp_path}", "data.source=files", "data.split.by=test")
    files = module(data, shared / "data", *options)
    files.setup("test")
    sample = files.test_dataset("reduced")[0]
    lr, guide, target = (sample[role][None] for role in ("lr", "guide", "target"))

    def scores(image: Tensor) -> tuple[float, float]:
        inside = (..., slice(21, -21), slice(21, -21))
        reference, estimate = ((2**bits - 1) * x.double().clamp(0, 1)[inside] for x in (target, image))
        return float(sam(reference, estimate)), float(ergas(reference, estimate, ratio=4))

    assert scores(expand(lr, 4, "dlpan")) == pytest.approx(published["exp"], abs=0.02)
    # the network learned on values divided by 2^bits
    scale = (2**bits - 1) / 2**bits
    with torch.no_grad():
        assert scores(network(lr * scale, guide * scale) / scale) == pytest.approx(published["apnn"], abs=0.02)
