"""The check tells what lies outside of its range, and the demo's scenes lie inside."""

from __future__ import annotations

import pytest

from fusionbench.app import simulate as verb
from fusionbench.sensors import load_sensor
from fusionbench.simulation import check
from fusionbench.simulation.scene import LANDSCAPES


def test_a_finding_is_judged_as_it_is_printed() -> None:
    assert check.Finding("r2", 0.9854, None, (0.9, 0.985)).passed
    assert not check.Finding("r2", 0.9856, None, (0.9, 0.985)).passed
    assert check.Finding("ERGAS GSA", 3.0, (1.0, 2.0), None).passed


def test_ranges_of_eight_bands_do_not_judge_four() -> None:
    assert check.finding("EXP SAM", 2.0, bands=8).allowed == (4.0, 8.0)
    assert check.finding("EXP SAM", 2.0, bands=4).allowed is None
    assert check.finding("r2", 0.95, [{"r2": 0.9}, {"r2": 0.97}]).real == (0.9, 0.97)


def test_training_never_sees_the_wild() -> None:
    def seen(seeds: tuple[int, ...]) -> set[str]:
        return {name for seed in seeds for name in LANDSCAPES[seed % 4]}

    assert "wild" not in seen((101, 102, 201))
    assert seen(check.SEEDS) == {"urban", "suburb", "farmland", "wild"}


@pytest.mark.slow
def test_the_demo_world_passes() -> None:
    findings = {one.name: one for one in check.run(load_sensor("worldview3"))}
    assert not [one for one in findings.values() if not one.passed]
    assert findings["shadow_urban"].allowed == (0.05, 0.2)


def test_exit_code_is_1_where_something_lies_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_real_scenes", lambda given: iter(()))
    for value, code in ((0.95, 0), (0.5, 1)):
        monkeypatch.setattr(check, "run", lambda *_, value=value, **__: [check.finding("r2", value)])
        assert verb.simulate(["--check"]) == code
