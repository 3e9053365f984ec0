"""Methods fitted to each scene: nothing but its inputs and (seed, scene) enters; finished scenes are kept."""

from __future__ import annotations

import copy
import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from fusionbench.building import allow_packages
from fusionbench.errors import CheckpointError, ConfigError, DivergedError
from fusionbench.networks.fitting import Snapshots
from fusionbench.networks.pansharpening import GDD, GDDFit, ZeRGAN, ZeRGANCritics, ZeRGANFit
from fusionbench.regimes import PerScene, rebuild
from fusionbench.regimes.checkpoint import KEY, checkpoint_facts, write_checkpoint
from fusionbench.regimes.progress import Bars
from fusionbench.regimes.training import build_trainer
from tests.regimes import small
from tests.regimes.fits import Everything

PARTS = "fusionbench.networks.pansharpening."
TOY = {"network": {"_target_": "tests.regimes.fits.SceneNet"}, "fit": {"_target_": "tests.regimes.fits.Everything"}}
METHODS: dict[str, dict[str, Any]] = {
    "everything": TOY,
    "zergan": {
        "network": {"_target_": PARTS + "ZeRGAN", "bands": 2, "ratio": 2, "scales": 2},
        "fit": {"_target_": PARTS + "ZeRGANFit", "epochs_per_scale": 2, "drop_at": 1},
    },
    "gdd": {
        "network": {"_target_": PARTS + "GDD", "bands": 2, "channels": 4},
        "fit": {"_target_": PARTS + "GDDFit", "steps": 3},
    },
    "adapted": {
        "network": {"_target_": PARTS + "APNN", "bands": 2, "ratio": 2, "grid": "area", "first_kernel": 3, "width": 4},
        "fit": {"_target_": PARTS + "APNNFit", "gains": [0.3, 0.3], "grid": "area", "steps": 5},
    },
}


@pytest.fixture(autouse=True)
def _own_classes() -> None:
    allow_packages(["tests"])


def scene(name: str = "a", seed: int = 1, size: int = 8) -> dict[str, Any]:
    import numpy as np

    single = small.sample(np.random.default_rng(seed), name, size)
    batch = {k: v[None] for k, v in single.items() if isinstance(v, Tensor)}
    numbers = {k: torch.tensor([single[k]]) for k in ("bits", "ratio", "gsd")}
    return {**batch, **numbers, "scene": [name], "sensor": ["none"]}


def regime(method: str = "everything", seed: int = 0, fit: dict[str, Any] | None = None, **settings: Any) -> PerScene:
    parts = copy.deepcopy(METHODS[method])
    parts["fit"] |= fit or {}
    torch.manual_seed(0)
    made = PerScene(**parts, **settings)
    config = small.config()
    config["seed"] = seed
    config["model"] = {"card": {"id": method, "regime": "per_scene"}, "module": module(parts, **settings)}
    made.attach(small.Score(), checkpoint_facts(config))
    return made


def module(parts: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"_target_": "fusionbench.regimes.PerScene", "_recursive_": False, **parts, **settings}


def run(made: PerScene, folder: Path, **trainer: Any) -> PerScene:
    data = small.SmallData()
    trained = build_trainer(
        made.facts["config"] | {"trainer": small.config(**trainer)["trainer"]}, folder, ("x", "min")
    )
    made.learn(trained, data, folder, resume=True)
    trained.test(made, datamodule=data, verbose=False)
    return made


@pytest.mark.parametrize("method", METHODS)
def test_the_reference_is_never_read(method: str) -> None:
    adapted = method == "adapted"
    batch, begin = scene(size=32 if adapted else 8), {"start": "x"} if adapted else {}
    without = {name: value for name, value in batch.items() if name != "target"}
    once = regime(method, **begin).fuse(without)
    for target in (torch.full_like(batch["target"], torch.nan), 3 * batch["target"]):
        valid = torch.zeros_like(batch["guide"], dtype=torch.bool)
        assert torch.equal(regime(method, **begin).fuse(batch | {"target": target, "valid": valid}), once)
    assert once.shape == batch["target"].shape
    assert once.isfinite().all()


def test_a_result_depends_on_seed_and_scene_alone() -> None:
    made = regime()
    once = made.fuse(scene())
    made.fuse(scene("b", 2))
    torch.rand(7)
    state = torch.get_rng_state()
    assert torch.equal(made.fuse(scene()), once)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(regime(seed=1).fuse(scene()), once)
    assert not torch.equal(made.fuse(scene("other name")), once)
    both = {k: torch.cat([v, scene("b", 2)[k]]) if isinstance(v, Tensor) else v * 2 for k, v in scene().items()}
    both["scene"] = ["a", "b"]
    assert torch.equal(made.fuse(both)[:1], once)
    assert torch.equal(made.fuse(both)[1:], made.fuse(scene("b", 2)))


def test_inside_inference_mode_and_half_precision_it_is_the_same() -> None:
    once = regime().fuse(scene())
    with torch.inference_mode():
        inputs = scene()
        assert inputs["lr"].is_inference()
        assert torch.equal(regime().fuse(inputs), once)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(regime().fuse(scene()), once)


def test_what_a_fit_may_ask_for() -> None:
    made = regime()
    made.fuse(scene(size=12))
    fit: Everything = Everything.last
    assert fit.network.lr_size == (6, 6)  # built for the scene
    assert fit.blur.data.sum().item() == pytest.approx(1)
    assert (fit.blur >= 0).all()
    assert fit.rates == [[0.01 * (1 - s / 100), 0.002 * (1 - s / 100)] for s in range(4)]
    assert fit.network.training
    assert len(fit.losses) == 4  # `done` ended a stage of 50
    assert dict(fit.inputs).keys() == {"lr", "guide"}
    assert fit.facts == {"scene": "a", "sensor": "none", "bits": 8, "ratio": 2, "gsd": 1.0}
    assert {name: p.grad for name, p in made.network.named_parameters() if p.grad is not None} == {}


def test_an_update_moves_its_own_values_only() -> None:
    fit = Everything()
    batch = scene()
    torch.manual_seed(0)
    network = regime().network
    fit.start(network, {k: batch[k] for k in ("lr", "guide")}, {})
    coupling = fit.stages()[1]
    before = copy.deepcopy(network.state_dict())
    regime()._carry_out(fit, "a")
    assert coupling.name == "coupling"
    assert not all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_snapshots_go_back() -> None:
    layer = torch.nn.Linear(1, 1)
    kept = Snapshots(layer, keep=2)
    for number in range(4):
        layer.weight.data.fill_(number)
        kept.save(number)
    assert kept.oldest == 2
    kept.restore(2)
    assert layer.weight.item() == 2
    with pytest.raises(KeyError):
        kept.restore(1)


def test_finished_scenes_are_kept_and_the_unfinished_one_begins_again(tmp_path: Path, monkeypatch: Any) -> None:
    whole = run(regime(), tmp_path / "whole")
    calls: list[str] = []
    fuse = PerScene.fuse

    def counted(self: PerScene, batch: Any) -> Tensor:
        calls.append(batch["scene"][0])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fuse(self, batch)

    monkeypatch.setattr(PerScene, "fuse", counted)
    with pytest.raises(SystemExit):
        run(regime(), tmp_path / "cut")
    folder = tmp_path / "cut" / "fused"
    assert [p.name for p in folder.rglob("*.npz")] == ["fused.npz"]
    again = run(regime(), tmp_path / "cut")
    assert calls == ["scene-200", "scene-201", "scene-201", "scene-202"]
    assert again.evaluator.seen == whole.evaluator.seen
    run(regime(), tmp_path / "cut")
    assert len(calls) == 4
    run(regime(fit={"rate": 0.02}), tmp_path / "cut")  # another method: all of them again
    assert len(calls) == 7
    (folder / "reduced-scene-200" / "fused.npz").write_bytes(b"PK\x03\x04 truncated")
    run(regime(fit={"rate": 0.02}), tmp_path / "cut")
    assert len(calls) == 8


def test_the_evaluator_is_told_what_a_fit_estimated_also_of_a_kept_scene(tmp_path: Path, monkeypatch: Any) -> None:
    told: list[Tensor] = []
    observe = small.Score.observe

    def listen(self: small.Score, name: str, batch: Any, output: Tensor, seconds: Any) -> None:
        told.append(batch["estimated_psf"])
        observe(self, name, batch, output, seconds)

    monkeypatch.setattr(small.Score, "observe", listen)
    made = run(regime(), tmp_path)
    assert [psf.shape for psf in told] == [(1, 2, 2)] * 3
    assert not torch.equal(told[0], told[1])
    assert torch.equal(made.estimates["psf"], told[2][0])
    run(regime(), tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(told[:3], told[3:], strict=True))


def test_a_scene_without_metadata() -> None:
    batch = scene()
    bare = {name: batch[name] for name in ("lr", "guide", "scene")} | {"wavelengths": torch.rand(1, 5)}
    assert torch.equal(regime().fuse(bare), regime().fuse(batch))
    assert Everything.last.facts["sensor"] == "none"
    regime().fuse(bare)
    assert Everything.last.facts == {"scene": "a"}


def test_curves_and_progress(tmp_path: Path) -> None:
    made = regime()
    said = io.StringIO()
    data = small.SmallData()
    config = made.facts["config"]
    config["trainer"] |= {"progress": True, "log_every_n_steps": 2}
    trainer = build_trainer(config, tmp_path, ("x", "min"))
    bars = next(c for c in trainer.callbacks if isinstance(c, Bars))
    bars.console = Console(file=said, width=200)
    made.learn(trainer, data, tmp_path, resume=True)
    trainer.test(made, datamodule=data, verbose=False)
    assert "scene 2/3, stage 2/3, step 4/4" in said.getvalue()
    rows = list(csv.DictReader((tmp_path / "fused" / "reduced-scene-201" / "curves.csv").open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 4, 5, 6, 8]
    assert {"coupling/loss", "main/spectral"} <= set(rows[0])


def test_a_loss_that_is_not_finite_names_scene_stage_and_step() -> None:
    with pytest.raises(DivergedError, match=r"scene a diverged: stage main, step 3/50, the loss is nan"):
        regime(fit={"poison": 2}).fuse(scene())


def test_a_checkpoint_rebuilds_it(tmp_path: Path) -> None:
    made = regime("gdd", value_range={"scale": 2.0, "offset": -1.0})
    trainer = build_trainer(made.facts["config"], tmp_path, ("x", "min"))
    path = made.learn(trainer, small.SmallData(), tmp_path, resume=False)
    assert torch.equal(rebuild(path).fuse(scene()), made.fuse(scene()))


def start(folder: Path, **facts: Any) -> Path:
    """A checkpoint of a network that could be adapted."""
    made = regime("adapted", start="x")
    content = {"state_dict": made.state_dict(), KEY: made.facts | facts}
    write_checkpoint(folder / "start.ckpt", content)
    return folder / "start.ckpt"


def test_adaptation_starts_from_a_checkpoint_and_carries_it(tmp_path: Path) -> None:
    path = start(tmp_path)
    made = regime("adapted", start=str(path))
    for p in made.network.parameters():
        p.data.zero_()
    trainer = build_trainer(made.facts["config"], tmp_path, ("x", "min"))
    best = made.learn(trainer, small.SmallData(), tmp_path, resume=False)
    path.unlink()
    batch = scene(size=48)
    again = rebuild(best)
    assert torch.equal(again.fuse(batch), made.fuse(batch))
    before = again.network(batch["lr"], batch["guide"])
    assert not torch.equal(before, again.fuse(batch))


def test_adaptation_keeps_the_weights_of_least_loss(tmp_path: Path) -> None:
    from fusionbench.networks.pansharpening import APNNFit

    batch = scene(size=48)
    network = regime("adapted", start="x").network
    fit = APNNFit([0.3, 0.3], "area", steps=4)
    fit.start(network, {k: batch[k] for k in ("lr", "guide")}, {"ratio": 2, "scene": "a"})
    with torch.no_grad():
        first = float(fit.loss())
    (stage,) = fit.stages()
    fit.optimizer.param_groups[0]["lr"] = fit.optimizer.param_groups[1]["lr"] = 100.0  # every step makes it worse
    regime()._carry_out(type("One", (), {"stages": lambda self: [stage]})(), "a")
    with torch.no_grad():
        assert float(fit.loss()) == pytest.approx(first)


def test_a_start_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.module\.start is not given: APNNFit begins from a trained APNN"):
        regime("adapted")

    def learn(path: Path | str) -> None:
        made = regime("adapted", start=str(path))
        made.learn(build_trainer(made.facts["config"], tmp_path, ("x", "min")), small.SmallData(), tmp_path, False)

    with pytest.raises(CheckpointError, match="there is no such file"):
        learn(tmp_path / "nothing.ckpt")
    with pytest.raises(CheckpointError, match="made for ratio 4, here it is 2"):
        learn(start(tmp_path, ratio=4))
    other = regime("gdd")
    write_checkpoint(tmp_path / "other.ckpt", {"state_dict": other.state_dict(), KEY: other.facts})
    with pytest.raises(CheckpointError, match="does not fit APNN"):
        learn(tmp_path / "other.ckpt")


# --- the methods ---


def test_critics_of_zergan_have_the_published_count() -> None:
    assert sum(p.numel() for p in ZeRGANCritics(4).parameters()) == 282244


def test_zergan_terms_by_hand() -> None:
    """Constant images: no slopes, blur by the kernel's sum inside, colour as the summed squares of differences."""
    fit, network = ZeRGANFit(), ZeRGAN(2, ratio=2, scales=1)
    lr, guide = torch.ones(1, 2, 8, 8), torch.ones(1, 1, 16, 16)
    fit.start(network, {"lr": lr, "guide": guide}, {})
    terms = fit.terms(torch.full((1, 2, 16, 16), 0.5), torch.full((1, 1, 16, 16), 0.25))
    assert terms["spatial"].item() == pytest.approx(300 * 0.25**2)
    assert terms["gradient"].item() == 0
    assert terms["colour"].item() == pytest.approx(100 * 2 * 0.5**2)
    ramp = (torch.arange(16.0) / 16).expand(1, 2, 16, 16)
    assert fit.terms(ramp, torch.zeros(1, 1, 16, 16))["gradient"].item() == pytest.approx(10 / 256, rel=1e-5)
    inert = ZeRGANFit(gradient_term="inert")
    inert.start(network, {"lr": lr, "guide": guide}, {})
    for one, moves in ((fit, True), (inert, False)):
        image = ramp.clone().requires_grad_()
        assert one.terms(image, torch.zeros(1, 1, 16, 16))["gradient"].requires_grad is moves
    with pytest.raises(ConfigError, match="gradient_term=both"):
        ZeRGANFit(gradient_term="both")


def test_gdd_terms_by_hand() -> None:
    fit = GDDFit(weight=10.0)
    torch.manual_seed(0)
    network = GDD(2, channels=4)
    network.mixing.data = torch.tensor([[1.0, 1.0], [0.0, 0.0]])  # both bands of the mixture are the first
    guide = torch.zeros(1, 1, 8, 8)
    fit.start(network, {"lr": torch.zeros(1, 2, 4, 4), "guide": guide}, {})
    assert fit.terms(torch.ones(1, 2, 8, 8))["spectral"].item() == pytest.approx(10)
    ramp = torch.cat([torch.arange(8.0).expand(1, 1, 8, 8), guide], dim=1)
    assert fit.terms(ramp)["detail"].item() == pytest.approx(7 / 8)


def test_gdd_goes_back_where_the_loss_leaps() -> None:
    fit = GDDFit(settle=45, leap=0.1, repeat=3)
    torch.manual_seed(0)
    network = GDD(2, channels=4)
    fit.start(network, {"lr": torch.zeros(1, 2, 4, 4), "guide": torch.zeros(1, 1, 8, 8)}, {})
    fit.stages()

    def step(number: float, loss: float) -> float:
        """The weight behind the guard of a step that began with ``number``."""
        network.mixing.data.fill_(number)
        fit._guard(type("U", (), {"loss": torch.tensor(loss)})())
        return network.mixing[0, 0].item()

    for i in range(50):
        assert step(i, 1.0) == i
    assert step(50, 1.2) == 40  # ten back
    assert step(51, 1.2) == 40
    assert step(52, 1.05) == 52  # not far enough above the mean of 1
    assert len(fit.recorded) == 40
    for i in (53, 54):
        step(i, 1.0)
    assert len(fit.recorded) == 40
    step(55, 1.0)
    assert len(fit.recorded) == 41


@pytest.mark.parametrize(
    ("method", "steps", "terms"),
    [
        ("zergan", {"epochs_per_scale": 10, "drop_at": 99}, ("spatial", "colour", "spectral")),
        ("gdd", {"steps": 40}, ("spectral",)),
    ],
)
def test_the_loss_falls(method: str, steps: dict[str, Any], terms: tuple[str, ...], monkeypatch: Any) -> None:
    values: list[float] = []
    made = regime(method, fit=steps)
    monkeypatch.setattr(made, "_tell", lambda *_: values.append(sum(float(_[4][k]) for k in terms)))
    made.fuse(scene(size=16))
    assert values[-1] < 0.7 * values[0]
