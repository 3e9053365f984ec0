"""Networks that read images beside series of activity and points of interest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fusionbench.errors import ConfigError, DataError
from fusionbench.networks.geospatial_big_data import (
    CFCNN,
    CellsAlone,
    CFCNNImage,
    CFCNNSeries,
    ImagePatches,
    PatchFusion,
    POIPatches,
    SpatialContext,
    TakeCells,
    UnifiedDLUFZ,
)

NARROW = 8


def given(cells: int = 4, size: tuple[int, int] = (37, 41), steps: int = 48) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "image": torch.rand(cells, 3, *size, generator=generator),
        "poi": torch.rand(cells, 5, *size, generator=generator),
        "activity": torch.randn(cells, steps, generator=generator),
    }


CASES = [
    (lambda: CFCNN(3, 48, 7, NARROW), ("image", "activity")),
    (lambda: CFCNNImage(3, 7, NARROW), ("image",)),
    (lambda: CFCNNSeries(48, 7, NARROW), ("activity",)),
    (lambda: PatchFusion(3, 5, 7, NARROW), ("image", "poi")),
    (lambda: ImagePatches(3, 7, NARROW), ("image",)),
    (lambda: POIPatches(5, 7, NARROW), ("poi",)),
]


@pytest.mark.parametrize(("make", "roles"), CASES)
def test_places_get_logits_of_their_own(make: type[nn.Module], roles: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    network, batch = make().eval(), {role: given()[role] for role in roles}
    with torch.no_grad():
        together = network(**batch)
        apart = torch.cat([network(**{role: x[i : i + 1] for role, x in batch.items()}) for i in range(4)])
    assert together.shape == (4, 7)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("make", "roles"), CASES)
def test_gradient_reaches_every_parameter(make: type[nn.Module], roles: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    network = make().train()
    network(**{role: given()[role] for role in roles}).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_series_leaves_the_published_length() -> None:
    network = CFCNNSeries(48, 7)
    assert network.series.convolutions(torch.zeros(1, 1, 48)).shape == (1, 128, 34)
    assert CFCNNSeries(15, 2)(torch.randn(2, 15)).shape == (2, 2)
    with pytest.raises(ConfigError, match="15 or more"):
        CFCNNSeries(14, 2)


def test_image_branch_halves_as_published() -> None:
    branch = CFCNNImage(3, 7).image.eval()
    stem = torch.nn.functional.max_pool2d(branch.stem(torch.zeros(1, 3, 128, 128)), 3, 2, 1)
    assert branch.stage1(stem).shape == (1, 256, 32, 32)
    assert branch.stage2(branch.stage1(stem)).shape == (1, 1024, 16, 16)


def test_layer_weights_do_not_touch_what_is_given() -> None:
    batch = given()
    before = batch["poi"].clone()
    POIPatches(5, 7, NARROW)(batch["poi"])
    assert torch.equal(batch["poi"], before)


def test_context_sees_the_whole_town() -> None:
    torch.manual_seed(0)
    network, features = SpatialContext(16, 3, 2).eval(), torch.randn(1, 16, 5, 6)
    changed = features.clone()
    changed[..., 0, 0] += 5
    difference = (network(changed) - network(features)).abs().sum(1)
    assert float(difference[0, 4, 5].detach()) > 0


def test_recurrence_equals_a_walk_along_each_line() -> None:
    torch.manual_seed(0)
    recurrence, x = SpatialContext(16, 3, 2).units[0].rnn1, torch.randn(1, 16, 3, 4)
    down = torch.stack([recurrence.vertical(x[:, :, :, j].transpose(1, 2))[0] for j in range(4)], dim=2)
    along = torch.stack([recurrence.horizontal(down[:, i])[0] for i in range(3)], dim=1)
    torch.testing.assert_close(recurrence(x), along.permute(0, 3, 1, 2))


def town(seed: int = 0) -> dict[str, Tensor]:
    places = torch.tensor([[7, 2], [7, 3], [8, 2], [8, 4]])  # not from 0, and with gaps
    return {**{k: v for k, v in given().items() if k != "activity"}, "position": places}


def test_two_stages_of_a_town() -> None:
    torch.manual_seed(0)
    network, cells = UnifiedDLUFZ(3, 5, 7, NARROW), PatchFusion(3, 5, 7, NARROW)
    TakeCells()(network, cells)
    assert all(torch.equal(a, b) for a, b in zip(network.patches.parameters(), cells.parameters(), strict=True))
    batch = town()
    assert CellsAlone()(cells, batch["image"], batch["poi"])["output"].shape == (4, 7)
    several = {role: torch.stack([x, x]) for role, x in batch.items()}
    network.train()
    assert not network.patches.training
    network(**several).square().mean().backward()
    assert all(p.grad is None for p in network.patches.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.context.parameters())
    network.eval()
    with torch.no_grad():
        one, two = network(**batch), network(**several)
    assert one.shape == (4, 7)
    assert two.shape == (2, 7, 4)
    torch.testing.assert_close(two[1].T, one, rtol=1e-4, atol=1e-5)


def test_order_of_cells_does_not_matter_and_places_are_their_own() -> None:
    torch.manual_seed(0)
    network, batch, order = UnifiedDLUFZ(3, 5, 7, NARROW).eval(), town(), torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        turned = network(**{role: x[order] for role, x in batch.items()})
        torch.testing.assert_close(turned, network(**batch)[order], rtol=1e-4, atol=1e-5)
    batch["position"][1] = batch["position"][0]
    with pytest.raises(DataError, match="same position"):
        network(**batch)
