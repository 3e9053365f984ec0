"""Terms that single networks brought, on cases worked by hand."""

from __future__ import annotations

import pytest
import torch

from fusionbench.errors import ConfigError
from fusionbench.losses import L1, SAM, GradientError, Reduced, StageEnergy


def test_reduced_compares_with_every_second_pixel() -> None:
    target = torch.arange(16.0).view(1, 1, 4, 4)
    half = torch.tensor([[0.0, 3.0], [8.0, 10.0]]).view(1, 1, 2, 2)  # against 0, 2, 8, 10
    term = Reduced(L1(output="half"))
    assert (term.outputs, term.roles) == (("half",), ("target",))
    assert term({"half": half}, {"target": target}, None).item() == pytest.approx(0.25)
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    mask[..., 2:, :] = False
    assert term({"half": half}, {"target": target}, mask).item() == pytest.approx(0.5)


def test_reduced_refuses_what_it_cannot_reduce() -> None:
    with pytest.raises(ConfigError, match="no pixelwise term"):
        Reduced(SAM())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="factor=1"):
        Reduced(L1(), factor=1)


def test_stage_energy_sums_the_stages_means() -> None:
    symmetry = torch.stack([torch.full((2, 3, 4, 4), 1.0), torch.full((2, 3, 4, 4), 2.0)], dim=1)
    assert StageEnergy()({"symmetry": symmetry}, {}, None).item() == pytest.approx(1 + 4)
    assert StageEnergy().roles == ()


def test_gradient_error_is_half_the_squared_sum_per_image() -> None:
    target = torch.zeros(2, 1, 2, 2)
    target[:, :, 0, 0] = 1.0
    batch = {"target": target, "guide": torch.zeros(2, 1, 2, 2)}
    # across: -1 and, wrapping, +1 in the first row; the same down the first column
    assert GradientError()({"gradients": torch.zeros(2, 4, 2, 2)}, batch, None).item() == pytest.approx(0.5 * 4)
    exact = torch.zeros(2, 4, 2, 2)
    exact[:, 0, 0] = torch.tensor([-1.0, 1.0])
    exact[:, 2, :, 0] = torch.tensor([-1.0, 1.0])
    assert GradientError()({"gradients": exact}, batch, None).item() == 0
