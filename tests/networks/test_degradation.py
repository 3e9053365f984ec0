"""Response and point spread as layers, against sums by hand and a plain convolution."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d

from fusionbench.errors import DataError
from fusionbench.networks.blocks import Blur, KnownResponse, Response, response_support
from fusionbench.networks.fitting import linear_fall, set_rate


def test_support_is_the_run_from_first_to_last_response() -> None:
    rows = torch.tensor([[0.0, 1, 0, 2, 0], [0, 0, 0, 0, 3]])
    assert response_support(rows) == response_support(rows[None]) == [[1, 3], [4, 4]]
    assert response_support(rows + 1e-4) == [[1, 3], [4, 4]]  # tails
    with pytest.raises(DataError, match="band 1 of the guide responds to none of the 5 bands"):
        response_support(rows.clamp(max=2) - torch.tensor([[0.0], [2]]))


def test_response_is_a_weighted_mean_whose_sum_has_no_gradient() -> None:
    layer = Response(4, [[1, 2], [3, 3]])
    layer.weights[0].data = torch.tensor([1.0, 3])
    layer.weights[1].data = torch.tensor([5.0])
    x = torch.arange(4.0).view(1, 4, 1, 1)
    found = layer(x)
    assert found.flatten().tolist() == [1.75, 3]
    found.sum().backward()
    assert layer.weights[0].grad.tolist() == [0.25, 0.5]
    assert torch.equal(KnownResponse(layer.matrix().detach())(x), found)


def test_gaussian_begin() -> None:
    (weights,) = Response(9, [[0, 8]], initial="gaussian", deviation=2.0).weights
    assert weights.sum().item() == pytest.approx(1)
    assert (weights[4] / weights[2]).item() == pytest.approx(torch.tensor(0.5).exp().item())


def test_projection_of_a_response() -> None:
    layer = Response(4, [[0, 1], [3, 3]])
    layer.weights[0].data = torch.tensor([-1.0, 30])
    layer.weights[1].data = torch.tensor([7.0])
    layer.project()
    assert [weights.tolist() for weights in layer.weights] == [[0, 1], [5]]
    layer.project(single=None)
    assert layer.weights[1].tolist() == [1]


@pytest.mark.parametrize(("ratio", "size"), [(4, 4), (4, 6), (3, 5), (2, 4)])
def test_a_known_kernel_lies_about_its_block(ratio: int, size: int) -> None:
    kernel, x = torch.rand(size, size), torch.rand(2, 3, 4 * ratio, 5 * ratio)
    found = Blur(ratio, kernel=kernel)(x)
    assert found.shape == (2, 3, 4, 5)
    margin = (size - ratio) // 2
    window = x[1, 2, ratio - margin : 2 * ratio + margin, 2 * ratio - margin : 3 * ratio + margin]
    torch.testing.assert_close(found[1, 2, 1, 2], (window * kernel).sum())
    ones = torch.ones_like(x)  # mirrored at the border: nothing is lost
    torch.testing.assert_close(Blur(ratio, kernel=kernel)(ones), torch.full((2, 3, 4, 5), kernel.sum().item()))


def test_a_kernel_about_the_first_pixel_of_a_block() -> None:
    layer, x = Blur(4, 7, corner=True), torch.rand(1, 2, 8, 12)
    layer.kernel.data = torch.rand(7, 7)
    dense = conv2d(x.transpose(0, 1), layer.kernel[None, None], padding=3).transpose(0, 1)
    torch.testing.assert_close(layer(x), dense[..., ::4, ::4])


def test_a_kernel_that_cannot_lie_so_is_refused() -> None:
    for size in (5, 2):
        with pytest.raises(DataError, match=f"psf: {size} x {size} px cannot lie symmetrically about 4 x 4 px"):
            Blur(4, kernel=torch.ones(size, size))


def test_schedule_and_shares_of_the_rate() -> None:
    assert [linear_fall(step, 2, 4) for step in range(7)] == [1, 1, 0.75, 0.5, 0.25, 0, 0]
    p = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.Adam([{"params": p[:1]}, {"params": p[1:], "multiplier": 0.2}], lr=1.0)
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
