"""Published lengths: every one composes and is the documented one; a method without one is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from fusionbench.app import catalogue, check, compose
from fusionbench.errors import ConfigError

PATH = catalogue.search_path()
TRAINED = sorted(name for name, card in catalogue.cards("model", PATH).items() if card["regime"] != "classical")
PAPER = sorted(catalogue.options("schedule/paper", PATH))
PAIRS = sorted(catalogue.options("pair_schedule/paper", PATH))
# methods whose publication fixes no length: id -> why
UFZ = "neither optimiser nor length is published"
BASELINE = "not a published method"
NONE_PUBLISHED = {
    "fusion_baseline": BASELINE,
    "fusion_baseline_mask": BASELINE,
    "fusion_baseline_regression": BASELINE,
    "mdssc_gan": "the public code leaves the number of epochs to the user",
    "unifieddl_ufz": UFZ,
    "unifieddl_ufz_cells": UFZ,
    "unifieddl_ufz_image": UFZ,
    "unifieddl_ufz_poi": UFZ,
}
STEPS, EPOCHS, BATCH = "trainer.max_steps", "trainer.max_epochs", "data.batch_size"
FIT, STAGES = "model.module.fit", "model.module.stages"
# copied by hand from the methods' fact sheets
FACTS: dict[str, dict[str, Any]] = {
    "endnet": {EPOCHS: 151, BATCH: 64},
    "mdl_rs": {EPOCHS: 151, BATCH: 64},
    "s2enet": {EPOCHS: 128, BATCH: 64},
    "two_branch_cnn": {f"{STAGES}.hs.max_epochs": 20, f"{STAGES}.fusion.max_epochs": 20, BATCH: 100},
    "rndff": {EPOCHS: 200, BATCH: 16},
    "rnprf": {f"{STAGES}.hs.max_epochs": 200, f"{STAGES}.aux_features.max_epochs": 200, BATCH: 16},
    "ssr_net": {STEPS: 10000, BATCH: 1},
    "pgnet": {EPOCHS: 500, BATCH: 15},
    "hyperpnn": {EPOCHS: 2000, BATCH: 2},
    "apnn": {EPOCHS: 10000, BATCH: 128},
    "apnn_adapted": {f"{FIT}.steps": 50},
    "arbrpn": {EPOCHS: 1000, BATCH: 8},
    "bdpn": {EPOCHS: 1000, BATCH: 8},
    "cf_cnn": {EPOCHS: 100, BATCH: 16},
    "cf_cnn_image": {EPOCHS: 100, BATCH: 16},
    "cf_cnn_series": {EPOCHS: 100, BATCH: 16},
    "cmgfnet": {STEPS: 12900, BATCH: 16, "data.patch": 256},
    "dicnn": {EPOCHS: 5000, BATCH: 64},
    "dl_vm": {EPOCHS: 50, BATCH: 128},
    "drpnn": {EPOCHS: 500, BATCH: 32},
    "fusionnet": {EPOCHS: 400, BATCH: 32},
    "cucanet": {f"{FIT}.steps": 10000, f"{FIT}.hold": 2000},
    "gdd": {f"{FIT}.steps": 20001},
    "gdd_pan": {f"{FIT}.steps": 8001},
    "gtp_pnet": {f"{STAGES}.gradients.max_epochs": 200, f"{STAGES}.fusion.max_epochs": 700},
    "lagnet": {EPOCHS: 1000, BATCH: 32},
    "miae": {f"{FIT}.steps": [5000, 10000], f"{FIT}.hold": 1000},
    "msdcnn": {EPOCHS: 500, BATCH: 64},
    "nonregsrnet": {f"{FIT}.steps": 10000, f"{FIT}.hold": 2000},
    "pan_gan": {STEPS: 500000, BATCH: 32},
    "pancolorgan": {EPOCHS: 200, BATCH: 16},
    "panformer": {STEPS: 200000, BATCH: 4, "data.patch": 256},
    "pannet": {EPOCHS: 450, BATCH: 32},
    "perceppan": {STEPS: 5000, BATCH: 4},
    "pgman": {EPOCHS: 20, BATCH: 8},
    "pnn": {EPOCHS: 12000, BATCH: 64},
    "psgan": {EPOCHS: 50},
    "red_cgan": {EPOCHS: 300},
    "restfnet": {EPOCHS: 600, BATCH: 64},
    "sdpnet": {f"{STAGES}.fusion.max_epochs": 10},
    "tdnet": {EPOCHS: 300, BATCH: 32},
    "tfnet": {EPOCHS: 600, BATCH: 64},
    "ucgan": {STEPS: 30000, BATCH: 16},
    "udaln": {f"{FIT}.steps": [20000, 30000, 15000], f"{FIT}.hold": [10000, 20000, 5000]},
    "usdn": {f"{FIT}.hs_steps": 500000, f"{FIT}.start_steps": 15000, f"{FIT}.ms_steps": 20000},
    "vp_net": {EPOCHS: 55, BATCH: 40},
    "zergan": {f"{FIT}.epochs_per_scale": 5000, f"{FIT}.drop_at": 1600},
}
PAIR_FACTS: dict[str, dict[str, Any]] = {
    "apnn_on_quickbird": {EPOCHS: 15000, BATCH: 64},
    "apnn_on_worldview2": {EPOCHS: 15000, BATCH: 64},
    "apnn_on_worldview4": {EPOCHS: 15000, BATCH: 64},
    "apnn_adapted_on_worldview2": {f"{FIT}.steps": 200},
    "gtp_pnet_on_gaofen2": {f"{STAGES}.gradients.max_epochs": 200, f"{STAGES}.fusion.max_epochs": 126},
    "gtp_pnet_on_quickbird": {f"{STAGES}.gradients.max_epochs": 100, f"{STAGES}.fusion.max_epochs": 700},
    "pan_gan_on_gaofen2": {STEPS: 499500, BATCH: 32},
    "pan_gan_on_quickbird": {STEPS: 107000, BATCH: 32},
}


def composed(model: str, data: str) -> Any:
    return compose.composed("train", [f"model={model}", f"data={data}", "recipe=paper"])


def taken_by(model: str) -> str:
    """A data set that the model takes, WorldView-3 where it can."""
    card, bodies = catalogue.cards("model", PATH)[model], catalogue.bodies("data", PATH)
    fitting = [name for name, body in bodies.items() if check.mismatch(card, check.settled(body)) is None]
    return "worldview3" if "worldview3" in fitting else fitting[0]


def test_every_trained_model_has_a_schedule_or_a_reason() -> None:
    assert set(TRAINED) - set(PAPER) == set(NONE_PUBLISHED)
    assert set(PAPER) == set(FACTS) <= set(TRAINED)
    assert set(PAIRS) == set(PAIR_FACTS)


@pytest.mark.parametrize("model", sorted(FACTS))
def test_the_published_length_is_what_a_run_gets(model: str) -> None:
    cfg = composed(model, taken_by(model))
    assert {key: OmegaConf.select(cfg, key) for key in FACTS[model]} == FACTS[model]


@pytest.mark.parametrize("pair", sorted(PAIR_FACTS))
def test_the_length_of_a_pair_goes_before_the_methods(pair: str) -> None:
    model, _, data = pair.partition("_on_")
    cfg = composed(model, data)
    assert {key: OmegaConf.select(cfg, key) for key in PAIR_FACTS[pair]} == PAIR_FACTS[pair]


@pytest.mark.parametrize("model", sorted(NONE_PUBLISHED))
def test_without_a_published_length_the_run_is_refused(model: str) -> None:
    run = {"model": model, "data": "worldview3", "recipe": "paper"}
    with pytest.raises(ConfigError, match=rf"(?s)no published schedule for model={model}.*There is one for: .*pannet"):
        check.check_recipe({"model": {"card": {"regime": "adversarial"}}, "run": run}, PATH)
