"""The torchmetrics classes average over images."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from fusionbench import metrics
from fusionbench.errors import ConfigError
from fusionbench.metrics import functional as F

from .cases import scene
from .test_images import triple

WITH = {
    "RMSE": {},
    "PSNR": {"data_range": 2047},
    "CC": {},
    "DD": {},
    "SAM": {},
    "ERGAS": {"ratio": 4},
    "UIQI": {},
    "SSIM": {"data_range": 2047},
    "SCC": {},
    "Q2n": {},
}
WITHOUT = {"DLambda": {}, "DLambdaK": {"gains": 0.3}, "DS": {}, "QNR": {}, "HQNR": {"gains": 0.3}}
LOWER = {"RMSE", "DD", "SAM", "ERGAS", "DLambda", "DLambdaK", "DS"}


def images(name: str, n: int) -> tuple[torch.Tensor, ...]:
    if name in WITH:
        return scene(n=n, size=40)
    fused, ms, pan = triple(n=n, size=32)
    return (fused, ms) if name in ("DLambda", "DLambdaK") else (fused, ms, pan)


def test_every_class_is_tested() -> None:
    assert sorted(metrics.__all__) == sorted([*WITH, *WITHOUT, "MeanOverImages"])


@pytest.mark.parametrize("name", [*WITH, *WITHOUT])
def test_batches_do_not_matter(name: str) -> None:
    kind, options, batch = getattr(metrics, name), (WITH | WITHOUT)[name], images(name, 8)
    at_once, one_by_one = kind(**options), kind(**options)
    at_once.update(*batch)
    for k in range(8):
        one_by_one.update(*(z[k : k + 1] for z in batch))
    assert at_once.compute().dtype == torch.float64
    assert at_once.compute().item() == pytest.approx(one_by_one.compute().item(), rel=1e-14)
    assert at_once.compute().item() == pytest.approx(kind.index(*batch, **options).mean().item(), rel=1e-14)
    assert at_once.higher_is_better == (name not in LOWER)


@pytest.mark.parametrize("name", [*WITH, *WITHOUT])
def test_processes_add_up(name: str) -> None:
    kind, options, batch = getattr(metrics, name), (WITH | WITHOUT)[name], images(name, 2)
    alone = kind(**options)
    both = kind(**options, dist_sync_fn=lambda x, group=None: [x, 3 * x], distributed_available_fn=lambda: True)
    alone.update(*batch)
    both.update(*batch)
    assert both.compute().item() == pytest.approx(alone.compute().item(), rel=1e-14)
    both.sync(dist_sync_fn=lambda x, group=None: [x, 3 * x], distributed_available=lambda: True)
    assert both.count == 8


def test_forward_reset_copies_and_half_precision() -> None:
    x, y = scene(n=4)
    metric = metrics.SAM()
    assert metric(x[:1], y[:1]).item() == pytest.approx(F.sam(x, y)[0].item())
    for twin in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric), copy.deepcopy(metric).half().float()):
        twin.update(x[1:], y[1:])
        assert twin.compute().item() == pytest.approx(F.sam(x, y).mean().item(), rel=1e-14)
    metric.reset()
    assert metric.count == 0


def test_mask_and_options_by_batch() -> None:
    x, y = scene(n=2)
    valid = torch.ones(2, 1, 64, 64, dtype=torch.bool)
    valid[..., 32:] = False
    metric = metrics.PSNR()
    metric.update(x, y, valid=valid, data_range=torch.tensor([2047, 255]))
    expected = F.psnr(x[..., :32], y[..., :32], data_range=torch.tensor([2047, 255]))
    assert metric.compute().item() == pytest.approx(expected.mean().item())


def test_image_without_value_is_left_out_and_counted() -> None:
    x, y = scene(n=3)
    x[1] = 0
    metric = metrics.SAM()
    metric.update(x, y)
    assert (metric.count, metric.undefined) == (2, 1)
    assert metric.compute().item() == pytest.approx(F.sam(x, y)[[0, 2]].mean().item())
    empty = metrics.SAM()
    empty.update(x[1:2], y[1:2])
    assert empty.compute().isnan()


def test_perfect_estimate_has_infinite_psnr() -> None:
    x, _ = scene()
    metric = metrics.PSNR(data_range=2047)
    metric.update(x, x)
    assert metric.compute().isposinf()


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="ratio, dim_band"):
        metrics.ERGAS(rato=4)
    x, y = scene()
    with pytest.raises(ConfigError, match="no option 'ratio'"):
        metrics.SAM().update(x, y, ratio=4)
    with pytest.raises(ConfigError, match="one value per image"):
        metrics.RMSE(per_band=True).update(x, y)
