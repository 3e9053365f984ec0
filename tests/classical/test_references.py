"""Fused images against those of the field's toolbox."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.classical.cards import build_method, classical_methods
from tests.imaging.references import SCENES, difference, load, on_grid

# no values from other hands on the synthetic scenes: formulas of the papers only, see test_by_hand
ELSEWHERE = {"brovey": "BROVEY", "ihs": "IHS", "pca": "PCA", "hpf": "HPF", "sfim": "SFIM", "atwt": "ATWT"}
# what the references were made with, where the method's own setting differs; images go in as digital numbers
SETTINGS = {"tv": {"bits": 1, "weights": [0.1552, 0.3959, 0.2902, 0.1587]}}
TOLERANCE = 1e-6  # of the data range; the references are rounded to float32


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("method", [name for name in classical_methods() if name not in ELSEWHERE])
def test_fused_images_equal_the_toolbox(references: Path, scene: str, method: str) -> None:
    values, fused = load(references / f"{scene}.npz"), load(references / f"{scene}_classical.npz")
    if f"{method.upper()}_grid" not in fused:
        pytest.skip(f"the toolbox has no usable {method} for this scene")
    module = build_method(method, *SCENES[scene], **SETTINGS.get(method, {}))
    output = module(values["ms"][None], values["pan"][None])[0]
    assert difference(on_grid(output, values["grid"]), fused[f"{method.upper()}_grid"]) < TOLERANCE * 2047


@pytest.mark.parametrize("scene", SCENES)
def test_bdsd_in_blocks_equals_the_toolbox(references: Path, scene: str) -> None:
    values, fused = load(references / f"{scene}.npz"), load(references / f"{scene}_classical.npz")
    output = build_method("bdsd", *SCENES[scene], block=32)(values["ms"][None], values["pan"][None])[0]
    assert difference(on_grid(output, values["grid"]), fused["BDSD_S32_grid"]) < TOLERANCE * 2047


@pytest.mark.parametrize("method", classical_methods())
def test_fused_images_of_a_real_scene(shared: Path, method: str) -> None:
    values = load(shared / "references" / "geoeye1" / "classical_GE1.npz")
    module = build_method(method, [0.23] * 4, 0.16, **SETTINGS.get(method, {}))
    output = module(values["ms"][None], values["pan"][None])[0]
    expected = values[f"fused_{ELSEWHERE.get(method, method.upper())}"]
    assert difference(output, expected) < TOLERANCE * 255


def test_values_in_unit_range_give_the_same(references: Path) -> None:
    scene = "synthetic_wv3_8band"
    values, fused = load(references / f"{scene}.npz"), load(references / f"{scene}_classical.npz")
    lr, guide = (values["ms"] / 2047).float()[None], (values["pan"] / 2047).float()[None]
    output = build_method("gsa", *SCENES[scene])(lr, guide)[0]
    assert output.dtype is torch.float32
    assert difference(2047 * on_grid(output.double(), values["grid"]), fused["GSA_grid"]) < 2e-3
