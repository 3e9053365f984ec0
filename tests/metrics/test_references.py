"""Indices equal the values of the field's MATLAB toolbox, on our synthetic images and on a real GeoEye-1 crop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from fusionbench.metrics import functional as F

from .cases import AWKWARD, CUT, REFUSED, SYNTHETIC, load

TOLERANCE = 1e-9


def with_reference(data_range: float) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    return {
        "Q2n": F.q2n,
        "Q": F.uiqi,
        "SAM": F.sam,
        "ERGAS": lambda x, y: F.ergas(x, y, ratio=4),
        "SCC": F.scc,
        "SSIM": lambda x, y: F.ssim(x, y, data_range=data_range),
    }


def compare(x: Tensor, y: Tensor, expected: dict[str, float], data_range: float) -> None:
    for name, index in with_reference(data_range).items():
        close = pytest.approx(expected[name], rel=TOLERANCE, abs=TOLERANCE)
        assert index(x, y).item() == close, name


@pytest.mark.parametrize("image", ["fused", "exp32", "gsa32"])
@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_with_reference(references: Path, name: str, image: str) -> None:
    values, arrays = load(references, name)
    expected = values["with_reference"]["values"][image]
    x, y = arrays["reference"], arrays[image]
    compare(x, y, expected["full"], 2047)
    compare(x[CUT], y[CUT], expected["cut"], 2047)
    assert F.sam(x, y, border="dlpan").item() == pytest.approx(expected["cut"]["SAM"], rel=TOLERANCE)


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_with_reference(references: Path, case: str) -> None:
    values, arrays = load(references, "awkward")
    compare(arrays[f"{case}_reference"], arrays[f"{case}_image"], values["cases"][case]["values"], 2047)


def test_every_awkward_case_is_tested(references: Path) -> None:
    assert sorted(load(references, "awkward")[0]["cases"]) == sorted(AWKWARD)


@pytest.mark.parametrize("case", [case for case in AWKWARD if case not in REFUSED])
def test_awkward_d_lambda(references: Path, case: str) -> None:
    values, arrays = load(references, "awkward")
    expected = values["cases"][case]["values"]["D_lambda"]
    x, y = arrays[f"{case}_reference"], arrays[f"{case}_image"]
    ours = F.d_lambda(y, x, exp=x).item()
    if expected is None:
        assert ours != ours, "two bands constant in one block have no Q: no number may stand for it"
    else:
        assert ours == pytest.approx(expected, abs=TOLERANCE)


def compare_without(fused: Tensor, ms: Tensor, pan: Tensor, gains: float | list[float], expected: dict) -> None:
    ours = F.full_resolution(fused, ms, pan, gains=gains)
    for name, key in (
        ("D_s", "D_S"),
        ("D_s", "D_S_hqnr"),
        *((k, k) for k in ("D_lambda", "QNR", "D_lambda_K", "HQNR")),
    ):
        assert ours[name].item() == pytest.approx(expected[key], abs=TOLERANCE), name
    assert F.d_lambda(fused, ms).equal(ours["D_lambda"])
    assert F.d_s(fused, ms, pan).equal(ours["D_s"])
    assert F.qnr(fused, ms, pan).equal(ours["QNR"])
    assert F.d_lambda_k(fused, ms, gains=gains).equal(ours["D_lambda_K"])
    assert F.hqnr(fused, ms, pan, gains=gains).equal(ours["HQNR"])


@pytest.mark.parametrize("image", ["fused", "exp32", "gsa32"])
@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_without_reference(references: Path, name: str, image: str) -> None:
    values, arrays = load(references, name)
    expected = values["without_reference"]["values"][image]
    compare_without(arrays[image], arrays["ms"], arrays["pan"], SYNTHETIC[name], expected)


def test_six_bands_without_reference(references: Path) -> None:
    values, arrays = load(references, "awkward")
    images = (arrays[f"six_bands_{key}"] for key in ("image", "ms", "pan"))
    compare_without(*images, 0.3, values["six_bands_without_reference"]["values"])


def test_geoeye1_with_reference(shared: Path) -> None:
    values, arrays = load(shared / "references" / "geoeye1", "rr_GE1")
    for method, expected in values["expected"].items():
        x, y = arrays["reference"], arrays[f"degraded_{method}"]
        compare(x, y, expected["toolbox_full"], 255)
        compare(x[CUT], y[CUT], expected["toolbox_cut"], 255)
        own = expected["own_numpy"]
        assert F.rmse(x, y).item() == pytest.approx(own["RMSE_global"], rel=TOLERANCE)
        assert F.rmse(x, y, per_band=True)[0].tolist() == pytest.approx(own["RMSE_band"], rel=TOLERANCE)
        assert F.cc(x, y).item() == pytest.approx(own["CC"], rel=TOLERANCE)
        assert F.dd(x, y).item() == pytest.approx(own["DD_L1"], rel=TOLERANCE)
        assert F.psnr(x, y, data_range=255).item() == pytest.approx(own["PSNR_global_peak255"], rel=TOLERANCE)
        by_band = F.psnr(x, y, data_range=255, mode="band").item()
        assert by_band == pytest.approx(own["PSNR_band_mean"], rel=TOLERANCE)


def test_geoeye1_without_reference(shared: Path) -> None:
    values, arrays = load(shared / "references" / "geoeye1", "fr_GE1")
    for method, expected in values["expected"].items():
        fused = arrays["exp" if method == "EXP" else f"fused_{method}"]
        compare_without(fused, arrays["ms"], arrays["pan"], 0.23, expected)
