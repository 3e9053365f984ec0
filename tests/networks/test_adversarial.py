"""Facts of the adversarial methods' networks that the contract does not cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import batch_norm

from fusionbench.errors import ConfigError
from fusionbench.imaging import expand
from fusionbench.networks.blocks import BatchStatisticsNorm2d, Cycle, Lowered, SameConv2d
from fusionbench.networks.pansharpening import (
    MDSSCGAN,
    PSGAN,
    UCGAN,
    ColourView,
    MDSSCDiscriminator,
    PanColorGAN,
    PanGANDiscriminator,
    PercepPan,
    PercepPanDiscriminator,
    PercepPanReconstructor,
    ZeRGAN,
    ZeRGANCritics,
)


@pytest.mark.parametrize(("size", "first"), [(6, 0), (5, -1)])
def test_same_padding_is_tensorflows(size: int, first: int) -> None:
    """3x3 at stride 2: an even side pads nothing before, an odd one a pixel; so windows start at 0 or at -1."""
    conv = SameConv2d(1, 1, 3, 2, bias=False)
    torch.nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 0, 0] = 1  # picks the window's first pixel
    image = torch.arange(float(size * size)).view(1, 1, size, size) + 1
    out = conv(image)
    assert out.shape[-1] == math.ceil(size / 2)
    assert out[0, 0, 0, 0] == (image[0, 0, 0, 0] if first == 0 else 0)
    assert out[0, 0, 1, 1] == image[0, 0, 2 + first, 2 + first]


def test_batch_statistics_norm_sees_one_image_at_a_time_afterwards() -> None:
    norm = BatchStatisticsNorm2d(3)
    torch.nn.init.uniform_(norm.weight)
    images = torch.rand(2, 3, 5, 5)
    alone = [batch_norm(x[None], None, None, norm.weight, norm.bias, training=True) for x in images]
    torch.testing.assert_close(norm.eval()(images), torch.cat(alone))
    together = batch_norm(images, None, None, norm.weight, norm.bias, training=True)
    torch.testing.assert_close(norm.train()(images), together)


@pytest.mark.parametrize("variant", ["psgan", "fu_psgan", "st_psgan"])
@pytest.mark.parametrize(("ratio", "size"), [(4, (5, 7)), (2, (5, 7)), (3, (5, 4))])
def test_psgan_of_any_size(variant: str, ratio: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = PSGAN(4, ratio, "area", variant)
    out = network(torch.rand(1, 4, *size), torch.rand(1, 1, ratio * size[0], ratio * size[1]))
    assert out.shape == (1, 4, ratio * size[0], ratio * size[1])
    with pytest.raises(ConfigError, match="fu_psgan, st_psgan"):
        PSGAN(4, variant="two")


def test_mdssc_starts_from_exp() -> None:
    network = MDSSCGAN(4)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    lr = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(network(lr, torch.rand(1, 1, 32, 32)), expand(lr, 4, "dlpan"))


def test_colour_planes_equal_those_of_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(rgb).convert("YCbCr"), np.float32)
    bands = torch.from_numpy(rgb[..., ::-1].copy()).permute(2, 0, 1).float()  # blue, green, red
    image = torch.cat([bands, torch.full((1, 9, 7), 40.0)])[None]
    colour = MDSSCDiscriminator(4, "colour")._planes(image)
    geometry = MDSSCDiscriminator(4, "geometry")._planes(image)
    assert np.abs(colour[0].permute(1, 2, 0).numpy() - wanted[..., 1:]).max() < 1  # Pillow rounds
    assert np.abs(geometry[0, 0].numpy() - wanted[..., 0]).max() < 1
    assert (geometry[0, 1] == 40).all()
    with pytest.raises(ConfigError, match="5 bands"):
        MDSSCDiscriminator(5, "colour")
    with pytest.raises(ConfigError, match="0 to 4"):
        MDSSCDiscriminator(5, "colour", colours=[0, 1, 2, 5])
    with pytest.raises(ConfigError, match="geometry, colour"):
        MDSSCDiscriminator(4, "texture")


def test_pancolorgan_follows_the_scale_of_its_input() -> None:
    torch.manual_seed(0)
    network = PanColorGAN(3, grid="area", width=4).eval()
    lr, guide = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        out = network(lr, guide)
        torch.testing.assert_close(network(100 * lr + 7, 3 * guide - 1), 100 * out + 7, rtol=1e-4, atol=1e-2)
        flat = network(torch.ones_like(lr), guide)
    low, high = lr.amin((-2, -1), keepdim=True), lr.amax((-2, -1), keepdim=True)
    assert ((out >= low) & (out <= high)).all()
    assert flat.isfinite().all()


@pytest.mark.parametrize("random", [True, False])
def test_colour_view_blurs_within_its_range(random: bool) -> None:
    torch.manual_seed(0)
    target = torch.rand(3, 4, 32, 32)
    view = ColourView(4, random)(target)
    assert view["lr"].shape == target.shape
    assert view["guide"].shape == (3, 1, 32, 32)
    for name in ("guide", "target"):
        assert view[name].amin() == -1
        assert view[name].amax() == 1
    assert view["lr"].abs().max() <= 1
    assert (view["lr"].diff(dim=-1).abs().mean() < 0.5 * view["target"].diff(dim=-1).abs().mean()).all()


def test_ucgan_cycle_takes_its_own_samples() -> None:
    torch.manual_seed(0)
    network = UCGAN(3, grid="dlpan")
    output, guide = torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16)
    derived = Cycle(4, "dlpan")(network, output, guide)
    assert torch.equal(derived["cycle_lr"], output[..., 2::4, 2::4])
    torch.testing.assert_close(derived["cycle"], network(output[..., 2::4, 2::4], guide))


def test_lowered_clips_to_the_sensor() -> None:
    derived = Lowered(4, "dlpan", 11)(torch.linspace(-100, 3000, 256).view(1, 1, 16, 16))
    assert (derived["output"].min(), derived["output"].max()) == (0, 2048)
    assert torch.equal(derived["output_low"], derived["output"][..., 2::4, 2::4])


def test_pan_gan_discriminator_needs_large_patches() -> None:
    judge = PanGANDiscriminator(4)
    assert judge(torch.rand(2, 4, 128, 128)).shape == (2, 1, 1, 1)
    with pytest.raises(ConfigError, match=r"data\.patch=128"):
        judge(torch.rand(2, 4, 64, 64))
    with pytest.raises(ConfigError, match="1 patches"):
        judge(torch.rand(1, 4, 128, 128))


def test_reconstructor_keeps_a_constant_and_weighs_bands() -> None:
    gains, weights = [0.34, 0.32, 0.30, 0.22], [0.1139, 0.2315, 0.2308, 0.4239]
    fixed = PercepPanReconstructor(4, gains, "quickbird", grid="area")
    assert not any(p.requires_grad for p in fixed.parameters())
    image = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1).expand(1, 4, 32, 32)
    derived = fixed(image)
    torch.testing.assert_close(derived["lr_rebuilt"][..., 1:-1, 1:-1], image[..., :6, :6])
    wanted = sum(w * (i + 1) for i, w in enumerate(weights))
    torch.testing.assert_close(derived["guide_rebuilt"], torch.full((1, 1, 32, 32), wanted))
    sigma = 1 / (2 * math.pi * 0.34)  # .47 px, as the paper says of the first band
    assert fixed.blur[0, 0, 1, 0] / fixed.blur[0, 0, 1, 1] == pytest.approx(math.exp(-1 / (2 * sigma**2)), rel=1e-5)
    with pytest.raises(ConfigError, match="one per band"):
        PercepPanReconstructor(4, gains[:3])
    with pytest.raises(ConfigError, match="quickbird, ikonos"):
        PercepPanReconstructor(4, gains, "gaofen")


def test_perceppan_refuses_what_its_layers_cannot_take() -> None:
    judge = PercepPanDiscriminator(4, patch=64)
    pair = (torch.rand(2, 4, 16, 16), torch.rand(2, 1, 64, 64))
    assert judge(*pair).shape == (2, 1)
    assert judge.features(*pair).shape == (2, 64, 16, 16)
    with pytest.raises(ConfigError, match="multiple of 64"):
        PercepPanDiscriminator(4, patch=96)
    with pytest.raises(ConfigError, match="ratio 4"):
        PercepPanDiscriminator(4, ratio=2)
    with pytest.raises(ConfigError, match="power of two"):
        PercepPan(4, ratio=3, blocks=1)


def test_zergan_pyramid() -> None:
    torch.manual_seed(0)
    network = ZeRGAN(4)
    assert sum(p.numel() for p in network.parameters()) == 618208
    assert [sum(p.numel() for p in s.parameters()) for s in network.stages] == [66232, 66232, 242872, 242872]
    assert [sum(p.numel() for p in s.parameters()) for s in ZeRGANCritics().stages] == [28609, 28609, 112513, 112513]
    guide = torch.rand(1, 1, 256, 256)
    assert [network.size(stage, guide) for stage in range(4)] == [(side, side) for side in (91, 128, 182, 256)]
    lr = 100 * torch.rand(1, 4, 10, 12)
    with torch.no_grad():
        out = network(lr, torch.rand(1, 1, 40, 48))
    assert out.shape == (1, 4, 40, 48)
    assert out.min() >= 0
    assert out.max() <= lr.max()
    assert ZeRGANCritics()(torch.rand(1, 4, 20, 20), 1).shape == (1, 1, 22, 22)
