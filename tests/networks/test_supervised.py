"""Facts of the survey's supervised networks that the contract does not cover."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fusionbench.errors import CheckpointError, ConfigError
from fusionbench.imaging import expand
from fusionbench.imaging.differences import difference, difference_adjoint, gradients, laplacian
from fusionbench.networks.pansharpening import (
    APNN,
    BDPN,
    DLVM,
    ArbRPN,
    EncoderDecoder,
    GTPPNet,
    LAGNet,
    PanFormer,
    SDPNet,
    TDNet,
    TFNet,
    TNet,
    VPNet,
)
from fusionbench.networks.pansharpening.apnn import published_sgd
from fusionbench.networks.pansharpening.dl_vm import _PixelMean, conjugate_gradients
from fusionbench.networks.pansharpening.gtp_pnet import sobel
from fusionbench.regimes.checkpoint import check_data

from .cards import model_config


def inputs(bands: int = 4, size: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lr = torch.rand(1, bands, size, size, generator=generator)
    return lr, torch.rand(1, 1, 4 * size, 4 * size, generator=generator)


# parts of methods whose regime is not there yet: counts from the fact sheets
@pytest.mark.parametrize(
    ("part", "count"),
    [
        (lambda: GTPPNet(4), 52508),
        (lambda: TNet(4), 11377),
        (lambda: SDPNet(4), 562468),
        (lambda: EncoderDecoder(1, 4, width=96, slope=0.1), 149188),
        (lambda: EncoderDecoder(4, 1, width=96, slope=0.1), 149185),
        (lambda: EncoderDecoder(1, 1), 185217),
        (lambda: EncoderDecoder(4, 4), 186948),
    ],
)
def test_parts_of_staged_methods_have_the_published_counts(part: type[nn.Module], count: int) -> None:
    assert sum(p.numel() for p in part().parameters()) == count


@pytest.mark.parametrize("network", [GTPPNet, SDPNet])
@pytest.mark.parametrize("size", [4, 7])
@pytest.mark.parametrize("bands", [1, 4, 8])
def test_staged_networks_keep_the_contract(network: type[nn.Module], bands: int, size: int) -> None:
    torch.manual_seed(0)
    module = network(bands)
    lr, guide = inputs(bands, size)
    out = module(lr, guide)
    assert out.shape == (1, bands, 4 * size, 4 * size)
    (out**2).mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_gtp_pnet_aligned_starts_where_exp_lies(grid: str) -> None:
    network = GTPPNet(1, grid=grid, resize="aligned")
    nn.init.zeros_(network.r2.weight)
    ramp = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16) / 16
    difference = network(ramp, torch.zeros(1, 1, 64, 64)) - expand(ramp, 4, grid)
    # half a PAN pixel is 1/128 of the ramp
    assert difference[..., 28:36, 28:36].mean().abs() < 1 / 2000


def test_helper_networks_stay_between_zero_and_one() -> None:
    torch.manual_seed(0)
    network = EncoderDecoder(4, 1, width=96, slope=0.1)
    x = 4 * torch.rand(1, 4, 12, 12)
    assert network.encode(x).shape == (1, 96, 12, 12)
    assert 0 < float(network(x).min()) <= float(network(x).max()) < 1


def test_sobel_of_a_ramp() -> None:
    ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 2, 5, 6)
    across, down = sobel(ramp)
    assert across.shape == (1, 2, 5, 6)
    torch.testing.assert_close(across[..., 1:-1, 1:-1], torch.full((1, 2, 3, 4), 8.0))
    torch.testing.assert_close(down[..., 1:-1, 1:-1], torch.zeros(1, 2, 3, 4))


@pytest.mark.parametrize("network", [APNN, LAGNet])
def test_residual_networks_start_from_exp(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    module, (lr, guide) = network(4), inputs()
    last = module.conv3 if isinstance(module, APNN) else module.tail_conv
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(module(lr, guide), expand(lr, 4, "dlpan"))


@pytest.mark.parametrize("first_kernel", [9, 5])
def test_apnn_sees_no_padding_inside_its_border(first_kernel: int) -> None:
    torch.manual_seed(0)
    network, (lr, guide) = APNN(4, first_kernel=first_kernel), inputs(size=8)
    stack = torch.cat([expand(lr, 4, "dlpan"), guide], dim=1)
    valid = network.conv3(torch.relu(network.conv2(torch.relu(network.conv1(stack)))))
    border = network.border
    inner = network(lr, guide)[..., border:-border, border:-border]
    torch.testing.assert_close(inner, (valid + stack[:, :4, border:-border, border:-border]), atol=1e-5, rtol=1e-5)


def test_apnn_learns_its_last_layer_at_a_tenth() -> None:
    network = APNN(8)
    optimizer = published_sgd(network.parameters(), bands=8)
    assert [len(group["params"]) for group in optimizer.param_groups] == [4, 2]
    assert optimizer.param_groups[1]["params"][0] is network.conv3.weight
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.2312, 0.02312])


def test_arbrpn_takes_any_number_of_bands_with_the_same_weights() -> None:
    torch.manual_seed(0)
    network = ArbRPN(channels=8, blocks=1, cycles=2).eval()
    for bands in (1, 3, 5):
        lr, guide = inputs(bands)
        assert network(lr, guide).shape == (1, bands, 24, 24)


def test_arbrpn_checkpoint_is_not_bound_to_its_bands() -> None:
    facts = {"card": {"constraints": dict(model_config("arbrpn").card.constraints)}, "sensor": "QuickBird"}
    facts |= {"channels": {"lr": 4, "guide": 1}, "ratio": 4, "grid": "area"}
    data = {"card": {"name": "WorldView-3"}, "channels": {"lr": 8, "guide": 1}, "ratio": 4, "grid": "area"}
    check_data(facts, data, "best.ckpt")
    with pytest.raises(CheckpointError, match="has 2"):
        check_data(facts, data | {"channels": {"lr": 8, "guide": 2}}, "best.ckpt")


def test_arbrpn_recomputing_changes_no_gradient() -> None:
    lr, guide = inputs(3)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = ArbRPN(channels=8, blocks=1, cycles=2, recompute=recompute).train()
        network(lr, guide).square().mean().backward()
        found.append([p.grad for p in network.parameters()])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("network", [BDPN, TDNet])
def test_pyramids_return_both_levels(network: type[nn.Module]) -> None:
    lr, guide = inputs()
    found = network(4)(lr, guide)
    assert {name: tuple(image.shape[-2:]) for name, image in found.items()} == {"output": (24, 24), "half": (12, 12)}


@pytest.mark.parametrize("seed", range(10))
def test_tdnet_has_no_dead_detail_or_gain_at_start(seed: int) -> None:
    torch.manual_seed(seed)
    network = TDNet(8)
    lr, guide = inputs(8, seed=seed)
    full, half = network.pan_branch(0.05 + 0.6 * guide)
    assert (full.mean(dim=(0, 2, 3)) > 0).all()
    assert (half.mean(dim=(0, 2, 3)) > 0).all()
    network(0.02 + 0.6 * lr, guide)["output"].square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for gain in (network.mrab, network.mrab2) for p in gain.parameters())


def test_panformer_is_clamped_outside_of_training_only() -> None:
    torch.manual_seed(0)
    network, (lr, guide) = PanFormer(4), inputs(size=4)
    nn.init.constant_(network.HR_tail[-1].bias, 2.0)
    assert float(network.train()(lr, guide).max()) > 1
    assert float(network.eval()(lr, guide).max()) == 1


def test_tfnet_stays_within_its_range() -> None:
    lr, guide = inputs()
    assert TFNet(4)(2 * lr - 1, 2 * guide - 1).abs().max() < 1


def test_vp_net_options() -> None:
    lr, guide = inputs()
    for options in ({}, {"resize": "aligned"}, {"threshold_sign": "difference"}):
        torch.manual_seed(0)
        found = VPNet(4, stages=3, channels=8, **options)(lr, guide)
        assert found["output"].shape == (1, 4, 24, 24)
        assert found["symmetry"].shape == (1, 3, 8, 24, 24)
    with pytest.raises(ConfigError, match="legacy, aligned"):
        VPNet(4, resize="nearest")
    with pytest.raises(ConfigError, match="feature, difference"):
        VPNet(4, threshold_sign="both")
    with pytest.raises(ConfigError, match="legacy, aligned"):
        GTPPNet(4, resize="nearest")
    with pytest.raises(ConfigError, match="MS_PAN_NDxI"):
        APNN(4, inputs="MS")
    with pytest.raises(ConfigError, match="odd number"):
        APNN(4, first_kernel=6)


def test_vp_net_data_term_vanishes_where_the_operators_undo_each_other() -> None:
    torch.manual_seed(0)
    lr, guide = inputs()
    network = VPNet(4, stages=1, channels=8)
    expected = network(lr, guide)["output"]
    nn.init.constant_(network.stages[0].s, 5.0)
    torch.testing.assert_close(network(lr, guide)["output"], expected)


def dense(operator, shape: tuple[int, ...]) -> Tensor:
    """The matrix of a linear operator on images [1,1,H,W]."""
    unit = torch.eye(shape[-2] * shape[-1], dtype=torch.float64).view(-1, 1, *shape[-2:])
    return torch.stack([operator(image[None]).flatten() for image in unit], dim=1)


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_dl_vm_operators_and_adjoints(grid: str) -> None:
    mean = _PixelMean(4, grid, torch.zeros(1, 1, 2, 3, dtype=torch.float64))
    forward, back = dense(mean, (8, 12)), dense(mean.adjoint, (2, 3))
    torch.testing.assert_close(forward.T, back)
    torch.testing.assert_close(forward.sum(dim=1), torch.ones(6, dtype=torch.float64))
    for axis in (-2, -1):
        matrix = dense(lambda x, axis=axis: difference(x, axis), (5, 4))
        torch.testing.assert_close(matrix.T, dense(lambda x, axis=axis: difference_adjoint(x, axis), (5, 4)))
    matrix = dense(laplacian, (5, 4))
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.sum(dim=1), torch.zeros(20, dtype=torch.float64))


def test_conjugate_gradients_solve_each_plane() -> None:
    torch.manual_seed(0)
    matrix = torch.rand(12, 12, dtype=torch.float64)
    matrix = matrix @ matrix.T + 3 * torch.eye(12, dtype=torch.float64)
    right = torch.rand(2, 3, 3, 4, dtype=torch.float64)
    right[1, 2] = 0
    found = conjugate_gradients(lambda x: (x.flatten(2) @ matrix).view_as(x), right, 50, 1e-10)
    expected = torch.linalg.solve(matrix, right.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(right)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("grid", ["area", "dlpan"])
def test_dl_vm_recovers_an_image_from_its_gradients_and_means(grid: str) -> None:
    network = DLVM(2, grid=grid, rough=0.0, iterations=400, tolerance=1e-12)
    image = torch.rand(1, 2, 16, 16, dtype=torch.float64)
    lr = _PixelMean(4, grid, image[..., ::4, ::4])(image)
    found = network._fuse(lr, gradients(image, torch.zeros(1, 1, 16, 16, dtype=torch.float64)))
    torch.testing.assert_close(found, image, atol=1e-6, rtol=0)


def test_dl_vm_differentiates_through_its_solver() -> None:
    torch.manual_seed(0)
    network = DLVM(1, depth=3, width=4, iterations=200, tolerance=1e-14)
    lr = torch.rand(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    wanted = torch.rand(1, 4, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network._fuse, (lr, wanted), fast_mode=True)


def test_dl_vm_radius_covers_what_it_sees() -> None:
    torch.manual_seed(0)
    network = DLVM(1, depth=3, width=8).eval()
    size = 64
    lr = torch.rand(1, 1, size, size)
    guide = torch.rand(1, 1, 4 * size, 4 * size)
    changed = guide.clone()
    changed[..., 128, 128] += 0.5
    other = lr.clone()
    other[..., 32, 32] += 0.5
    with torch.no_grad():
        base = network(lr, guide)["output"]
        moved = [network(lr, changed)["output"], network(other, guide)["output"]]
    for result in moved:
        far = (result - base).abs()
        far[..., 128 - network.radius : 129 + network.radius, 128 - network.radius : 129 + network.radius] = 0
        assert float(far.max()) < 2e-6
