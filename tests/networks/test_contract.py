"""What every pansharpening network must do, for all configurations found."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from fusionbench.building import build

from .cards import CONFIGS, build_part, forward_roles, model_config, pansharpening_methods, trained_methods

# parameters that get no gradient by design: method -> names, each with the reason
NO_GRADIENT: dict[str, dict[str, str]] = {
    "bdpn": {"prelu.weight": "belongs to the published weights and count, used by no layer"},
    "vp_net": {
        "stages.0.s": "the legacy operators undo each other: the first stage's data term is zero",
        **{
            name: "would serve a stage after the last; belongs to the published weights and count"
            for name in ("stages.6.th", "stages.6.c_pan.weight", "stages.6.c_out.weight")
        },
    },
}


# rows and columns of lr where 5 x 6 are too few: method -> size, with the reason
SIZES: dict[str, tuple[int, int]] = {"gdd_pan": (17, 18)}  # halved five times, and normalised over what is left


def output_of(result: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
    return result["output"] if isinstance(result, dict) else result


def pair(bands: int, ratio: int, size: tuple[int, int], images: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Random lr and guide in [0, 1]; ``size`` is that of lr."""
    generator = torch.Generator().manual_seed(1)
    lr = torch.rand(images, bands, *size, generator=generator)
    return lr, torch.rand(images, 1, ratio * size[0], ratio * size[1], generator=generator)


def allowed(method: str, key: str, value: int) -> bool:
    """Whether the card's constraints allow this ratio or number of bands."""
    rule = model_config(method).card.constraints.get(key, "any")
    if rule == "any":
        return True
    return value in rule if key == "ratio" else rule[0] <= value <= rule[1]


@pytest.mark.parametrize("method", trained_methods())
def test_card_equals_signature(method: str) -> None:
    required, optional = forward_roles(method)
    roles = model_config(method).card.roles
    assert (list(roles.required), list(roles.optional)) == (required, optional)
    assert dict(model_config(method).card.bind) == {role: role for role in required + optional}


@pytest.mark.parametrize("method", trained_methods())
def test_card_is_complete(method: str) -> None:
    card = model_config(method).card
    assert card.id == method
    for key in ("name", "task", "regime", "paper", "year", "doi", "survey", "constraints", "knowledge", "notes"):
        assert key in card, key


@pytest.mark.parametrize("method", pansharpening_methods())
def test_gradient_reaches_every_parameter(method: str) -> None:
    network = build_part(method, bands=4).train()
    lr, guide = pair(4, 4, SIZES.get(method, (5, 6)), images=2)
    result = network(lr, guide)
    outputs = result.values() if isinstance(result, dict) else [result]
    torch.stack([(output**2).mean() for output in outputs]).sum().backward()
    dead = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert dead == set(NO_GRADIENT.get(method, {}))


def test_exemptions_are_not_stale() -> None:
    for method, names in NO_GRADIENT.items():
        assert set(names) <= {name for name, _ in build_part(method, bands=4).named_parameters()}


@pytest.mark.parametrize("grid", ["dlpan", "area"])
@pytest.mark.parametrize("method", pansharpening_methods())
@pytest.mark.parametrize(
    ("bands", "ratio", "size"),
    [(8, 4, (8, 8)), (4, 4, (9, 7)), (3, 2, (15, 11)), (5, 8, (5, 6)), (31, 4, (4, 5)), (1, 4, (8, 8))],
)
def test_output_size(method: str, bands: int, ratio: int, size: tuple[int, int], grid: str) -> None:
    if not (allowed(method, "ratio", ratio) and allowed(method, "bands", bands)):
        pytest.skip("outside the card's constraints")
    lr, guide = pair(bands, ratio, size)
    with torch.no_grad():
        out = output_of(build_part(method, bands=bands, ratio=ratio, grid=grid).eval()(lr, guide))
    assert out.shape == (1, bands, *guide.shape[-2:])
    assert out.dtype == torch.float32
    assert out.isfinite().all()


@pytest.mark.parametrize("method", pansharpening_methods())
def test_other_ratios_on_the_area_grid(method: str) -> None:
    if not allowed(method, "ratio", 3):
        pytest.skip("outside the card's constraints")
    lr, guide = pair(4, 3, (9, 10))
    assert output_of(build_part(method, bands=4, ratio=3, grid="area").eval()(lr, guide)).shape == (1, 4, 27, 30)


@pytest.mark.parametrize("method", pansharpening_methods())
def test_images_of_a_batch_do_not_mix(method: str) -> None:
    lr, guide = pair(4, 4, SIZES.get(method, (5, 6)), images=2)
    network = build_part(method, bands=4).eval()
    with torch.no_grad():
        together = output_of(network(lr, guide))
        apart = torch.cat([output_of(network(lr[i : i + 1], guide[i : i + 1])) for i in range(2)])
    # rounding grows with the values, which fresh weights of some methods make large
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5 * max(1.0, float(together.abs().max())))


@pytest.mark.parametrize("method", pansharpening_methods())
def test_default_loss_reads_what_the_network_gives(method: str) -> None:
    config = model_config(method)
    if config.card.regime != "supervised":
        pytest.skip("its losses belong to its regime's tests")
    (name,) = (entry["/loss@_global_.loss"] for entry in config.defaults)
    merged = OmegaConf.merge({"model": config}, {"loss": OmegaConf.load(CONFIGS / "loss" / f"{name}.yaml")})
    loss = build(OmegaConf.to_container(merged.loss, resolve=True), "loss")
    lr, guide = pair(4, 4, (5, 6), images=2)
    result = build_part(method, bands=4)(lr, guide)
    outputs = result if isinstance(result, dict) else {"output": result}
    assert set(outputs) == loss.outputs | {"output"}
    batch = {"lr": lr, "guide": guide, "target": torch.rand(2, 4, 20, 24)}
    for step in (0, 10**6):
        value, terms = loss(outputs, batch, border=int(config.module.loss_border) and 1, step=step)
        assert value.isfinite()
        assert set(terms) == set(loss.terms)
