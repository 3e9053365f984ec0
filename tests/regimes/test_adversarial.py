"""The adversarial regime: who moves when, towards what, and the same after an interruption."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fusionbench.building import build
from fusionbench.errors import ConfigError, DataError, DivergedError
from fusionbench.losses import L1, LeastSquares, LossSet, RelativisticAverage, Vanilla, Wasserstein
from fusionbench.regimes import Adversarial, Critic, read_checkpoint, rebuild
from fusionbench.regimes.callbacks import Divergence
from fusionbench.regimes.checkpoint import checkpoint_facts
from fusionbench.regimes.logger import CsvLogger
from fusionbench.regimes.training import build_trainer

from . import small, two_processes
from .test_resume import Cut, CutAt, assert_equal, outcome

OBJECTIVES = {
    "vanilla": Vanilla(),
    "least squares": LeastSquares(real=[0.7, 1.2], fake=[0.0, 0.3], factor=0.5),
    "wasserstein": Wasserstein(penalty=10.0),
    "relativistic": RelativisticAverage(),
}


class Judge(nn.Module):
    """Scores of an image given the guide; no normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(small.BANDS + 1, 4, 3, stride=2, padding=1)
        self.last = nn.Conv2d(4, 1, 3, padding=1)

    def features(self, guide: Tensor, image: Tensor) -> Tensor:
        return self.first(torch.cat([guide, image], 1)).tanh()

    def forward(self, guide: Tensor, image: Tensor) -> Tensor:
        return self.last(self.features(guide, image))


class Doubled(nn.Module):
    """Derives a tensor from two that are there, and calls the generator again."""

    def forward(self, network: nn.Module, output: Tensor, guide: Tensor) -> dict[str, Tensor]:
        return {"again": network(lr=output[..., ::2, ::2], guide=guide)}


def critic(lr: float = 0.01, **settings: Any) -> Critic:
    sides = {"real": {"image": "target"}, "fake": {"image": "output"}} | settings
    return Critic(Judge(), optimizer=lambda p: torch.optim.Adam(p, lr=lr), **sides)


def regime(objective: str = "vanilla", dropout: float = 0.0, lr: float = 0.01, **settings: Any) -> Adversarial:
    torch.manual_seed(0)
    network = small.TinyNet(dropout=dropout)
    critics = settings.pop("critics", None) or {"one": critic(), "two": critic(weight=0.5, feature_weight=0.1)}
    loss = settings.pop("loss", None) or LossSet({"l1": L1()})
    return Adversarial(network, critics, OBJECTIVES[objective], loss, lambda p: torch.optim.Adam(p, lr=lr), **settings)


def fit(made: Adversarial, folder: Path, cut: Any = None, more: Any = (), **trainer: Any) -> Adversarial:
    config = small.config(**trainer)
    config["model"]["unused_parameters"] = True
    made.attach(small.Score(), checkpoint_facts(config))
    run = build_trainer(config, folder, made.evaluator.monitor)
    run.loggers = [CsvLogger(str(folder))]
    run.callbacks[:0] = [*([cut] if cut else []), *more]
    data = small.SmallData()
    made.learn(run, data, folder, resume=True)
    run.test(made, datamodule=data, verbose=False)
    return made


class Moves(CutAt):
    """Notes, at every optimiser step, whose values it is given."""

    def __init__(self) -> None:
        super().__init__(None)
        self.seen: list[str] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        given = {id(p) for group in optimizer.param_groups for p in group["params"]}
        names = {name.split(".network")[0] for name, p in pl_module.critics.named_parameters() if id(p) in given}
        names |= {"network" for p in pl_module.network.parameters() if id(p) in given}
        self.seen.append(",".join(sorted(names)))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_signs(objective: str) -> None:
    """A critic wants real scores up and generated ones down; the generator wants its own up."""
    game = OBJECTIVES[objective]
    real, fake = (torch.full((4, 1), value, requires_grad=True) for value in (0.3, 0.4))
    labels = game.draw()
    up, down = torch.autograd.grad(game.critic(real, fake, labels), (real, fake))
    assert (up < 0).all()
    assert (down > 0).all()
    (wanted,) = torch.autograd.grad(game.generator(real, fake, labels), fake)
    assert (wanted < 0).all()


def test_values_worked_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([1.0, -1.0])
    sigma = torch.sigmoid
    cross = -(sigma(real).log().mean() + (1 - sigma(fake)).log().mean())
    torch.testing.assert_close(Vanilla().critic(real, fake, (1, 0)), cross)
    torch.testing.assert_close(Vanilla().generator(None, fake, (1, 0)), -sigma(fake).log().mean())
    assert LeastSquares().critic(real, fake, (1, 0)).item() == pytest.approx(1 + 1)
    assert LeastSquares(factor=0.5).critic(real, fake, (0.8, 0.2)).item() == pytest.approx(0.5 * (1.04 + 1.04))
    assert Wasserstein().critic(real, fake, (1, 0)).item() == -1.0
    # means 1 and 0: real - 0 = (2, 0), fake - 1 = (0, -2)
    half = -(sigma(torch.tensor([2.0, 0.0])).log().mean() + (1 - sigma(torch.tensor([0.0, -2.0]))).log().mean()) / 2
    torch.testing.assert_close(RelativisticAverage().critic(real, fake, (1, 0)), half)


def test_penalty_of_a_linear_critic_is_known() -> None:
    """|gradient| of 3 sum(x) over 4 values is 6; over two channels of a pixel 3 sqrt(2)."""
    real, fake = torch.rand(2, 2, 1, 2), torch.rand(2, 2, 1, 2)
    for per_pixel, norm in ((False, 6.0), (True, 3 * 2**0.5)):
        game = Wasserstein(penalty=10.0, per_pixel=per_pixel)
        penalty = game.penalty(lambda image: 3 * image.flatten(1).sum(1), {"image": real}, {"image": fake})
        assert penalty.item() == pytest.approx(10 * (norm - 1) ** 2, rel=1e-5)
    assert Wasserstein(penalty=0).penalty(lambda image: image, {"image": real}, {"image": fake}) is None


def test_penalty_moves_only_what_differs() -> None:
    guide, real, fake = torch.rand(2, 1, 4, 4), torch.rand(2, 2, 4, 4), torch.rand(2, 2, 4, 4)
    seen: dict[str, Tensor] = {}

    def score(**images: Tensor) -> Tensor:
        seen.update(images)
        return sum(image.mean() for image in images.values())

    Wasserstein().penalty(score, {"guide": guide, "image": real}, {"guide": guide, "image": fake})
    assert seen["guide"] is guide
    assert (seen["image"] >= torch.minimum(real, fake) - 1e-6).all()
    assert (seen["image"] <= torch.maximum(real, fake) + 1e-6).all()


def test_labels_are_drawn_within_their_range() -> None:
    draws = [LeastSquares(real=[0.7, 1.2], fake=[0.0, 0.3]).draw() for _ in range(50)]
    assert all(0.7 <= real <= 1.2 and 0 <= fake <= 0.3 for real, fake in draws)
    assert len(set(draws)) == 50


@pytest.mark.parametrize(("order", "first"), [("critics_first", "one"), ("generator_first", "network")])
def test_who_moves_when(tmp_path: Path, order: str, first: str) -> None:
    moves = Moves()
    fit(regime(order=order, critic_steps=2), tmp_path, more=[moves], max_steps=3)
    turn = ["one", "two", "one", "two"]
    turn = [*turn, "network"] if order == "critics_first" else ["network", *turn]
    assert moves.seen == 3 * turn
    assert moves.seen[0] == first


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_part_learns(tmp_path: Path, objective: str) -> None:
    made = regime(objective, helpers={"again": Doubled()})
    before = small.weights(made)
    fit(made, tmp_path, max_steps=2)
    still = [name for name, value in small.weights(made).items() if torch.equal(value, before[name])]
    # a critic's last bias has no gradient where only differences of scores count
    assert set(still) <= {"critics.one.network.last.bias", "critics.two.network.last.bias"}


def test_generator_learns_and_length_counts_batches(tmp_path: Path) -> None:
    made = fit(regime(lr=0.02), tmp_path, max_steps=60, val_every=60)
    rows = [row.split(",") for row in (tmp_path / "curves.csv").read_text().splitlines()]
    column = rows[0].index("train/l1")
    losses = [float(row[column]) for row in rows[1:] if row[column]]
    assert losses[-1] < 0.75 * losses[0]
    assert made.facts["training"]["steps"] == 60
    assert {"train/critic/one", "train/adversarial/two", "train/features/two"} <= set(rows[0])


def test_frozen_critics_get_no_gradient_from_the_generator(tmp_path: Path) -> None:
    made = regime(order="generator_first")

    class Look(Moves):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            if optimizer is trainer.optimizers[0]:
                self.seen += [name for name, p in pl_module.critics.named_parameters() if p.grad is not None]

    look = Look()
    fit(made, tmp_path, more=[look], max_steps=1)
    assert look.seen == []
    assert all(p.requires_grad for p in made.critics.parameters())


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "least squares", "scheduler_interval": "step"},
        {"objective": "wasserstein", "scheduler_interval": "epoch", "critic_steps": 2, "clip_norm": 0.1},
        {"objective": "relativistic", "order": "generator_first"},
    ],
    ids=lambda s: s["objective"],
)
def test_a_cut_training_ends_where_a_whole_one_does(tmp_path: Path, settings: dict[str, Any]) -> None:
    rate = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.8)

    def made() -> Adversarial:
        torch.manual_seed(0)
        critics = {"one": critic(scheduler=rate), "two": critic(clip_norm=0.05)}
        return regime(dropout=0.3, scheduler=rate, critics=critics, **settings)

    lengths = {"max_steps": 8, "val_every": 4, "checkpoint_every": 3}
    whole = outcome(tmp_path / "whole", fit(made(), tmp_path / "whole", **lengths))
    for step, validating in ((4, False), (5, False), (4, True), (8, True)):
        folder = tmp_path / f"cut-{step}-{validating}"
        with pytest.raises(Cut):
            fit(made(), folder, CutAt(step, validating), **lengths)
        assert_equal(whole, outcome(folder, fit(made(), folder, **lengths)))


@pytest.mark.slow
def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    """Same weights for the same global batches; the objective's averages run over both processes' images."""
    two_processes.two(tmp_path / "two", "relativistic")
    one = fit(regime("relativistic"), tmp_path / "one", max_steps=20, val_every=20)
    two = read_checkpoint(tmp_path / "two" / "checkpoints" / "last.ckpt")["state_dict"]
    for name, value in small.weights(one).items():
        if not name.endswith("last.bias"):  # only differences of scores count: its gradient is rounding alone
            torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", ["critics_first", "generator_first"])
@pytest.mark.parametrize("objective", ["wasserstein", "relativistic"])
def test_half_precision_follows_full_precision(tmp_path: Path, objective: str, order: str) -> None:
    """Weights cast to half precision in one player's turn are not those of the next turn."""
    lengths = {"max_steps": 6, "val_every": 6}
    full, half = (
        fit(
            regime(objective, lr=0.05, order=order, critic_steps=2),
            tmp_path / precision,
            precision=precision,
            **lengths,
        )
        for precision in ("32-true", "bf16-mixed")
    )
    start = small.weights(regime(objective))
    for name, value in small.weights(full).items():
        if not name.endswith("bias"):
            moved, apart = (value - start[name]).norm(), (value - small.weights(half)[name]).norm()
            assert apart < 0.35 * moved, name


def test_clipping(tmp_path: Path) -> None:
    norms: list[list[float]] = []

    class Norms(CutAt):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            for number, optimizer in enumerate(trainer.optimizers):
                grads = [p.grad.norm() for group in optimizer.param_groups for p in group["params"]]
                norms[number].append(float(torch.stack(grads).norm()))

    norms += [[], [], []]
    critics = {"one": critic(clip_norm=1e-4), "two": critic()}
    fit(regime(clip_norm=1e-3, critics=critics), tmp_path, more=[Norms(None)], max_steps=3)
    assert norms[0] == pytest.approx([1e-3] * 3, rel=1e-2)
    assert norms[1] == pytest.approx([1e-4] * 3, rel=1e-2)
    assert min(norms[2]) > 1e-3


def test_a_critic_that_diverges_stops_the_training(tmp_path: Path) -> None:
    class Poison(Moves):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if pl_module.batches_done() == 3:
                pl_module.critics["two"].network.last.bias.data.fill_(float("nan"))

    with pytest.raises(DivergedError, match="step"):
        fit(regime(), tmp_path, more=[Poison(), Divergence()], max_steps=6, checkpoint_every=1, val_every=6)
    state = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="generator_first"):
        regime(order="both")
    with pytest.raises(ConfigError, match="critic_steps=0"):
        regime(critic_steps=0)
    with pytest.raises(ConfigError, match="takes guide, image"):
        critic(real={"picture": "target"})
    with pytest.raises(ConfigError, match="the same images"):
        critic(real={"image": "output"})
    with pytest.raises(ConfigError, match="lowest, highest"):
        LeastSquares(real=[1.0, 0.5])
    with pytest.raises(DataError, match="reads nothing"):
        fit(regime(critics={"one": critic(fake={"image": "nothing"})}), tmp_path, max_steps=1)


def test_a_run_of_a_configured_method_rebuilds_itself(tmp_path: Path) -> None:
    config = small.config(max_steps=2)
    parts = "fusionbench.networks.pansharpening."
    adam = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-4}
    config["model"] = {
        "card": {"id": "red_cgan", "regime": "adversarial"},
        "unused_parameters": True,
        "module": {
            "_target_": "fusionbench.regimes.Adversarial",
            "network": {"_target_": parts + "REDcGAN", "bands": small.BANDS, "ratio": small.RATIO, "grid": "area"},
            "critics": {
                "patch": {
                    "_target_": "fusionbench.regimes.Critic",
                    "network": {"_target_": parts + "REDcGANDiscriminator", "bands": small.BANDS},
                    "real": {"image": "target"},
                    "fake": {"image": "output"},
                    "optimizer": adam,
                }
            },
            "objective": {"_target_": "fusionbench.losses.Vanilla"},
            "loss": config["model"]["module"]["loss"],
            "optimizer": adam,
            "value_range": {"scale": "dn"},
        },
    }
    made = build(config["model"]["module"])
    made.attach(small.Score(), checkpoint_facts(config))
    trainer = build_trainer(config, tmp_path, made.evaluator.monitor)
    data = small.SmallData()
    best = made.learn(trainer, data, tmp_path, resume=False)
    batch = next(iter(small.SmallData().train_dataloader()))
    assert torch.equal(rebuild(best).fuse(batch), made.eval().fuse(batch))
