"""Checks of the other sub-fields: cheap ones inside of their ranges, and the command that prints them."""

from __future__ import annotations

import pytest

from fusionbench.app import simulate as verb
from fusionbench.errors import ConfigError
from fusionbench.simulation import check, subfields


def test_every_range_is_one_and_belongs_to_a_check() -> None:
    assert set(subfields.RANGES) == set(subfields.CHECKS)
    assert all(low < high for ranges in subfields.RANGES.values() for low, high in ranges.values())


def test_clouds_lie_in_their_ranges() -> None:
    findings = subfields.run("clouds", seeds=(311, 312, 313), size=64)
    assert {one.name for one in findings} >= set(subfields.RANGES["clouds"])
    assert not [one for one in findings if not one.passed]


def test_spectra_of_a_scene_lie_in_their_ranges() -> None:
    findings = {one.name: one for one in subfields.run("hs", seeds=(312, 313), size=64)}
    for name in ("one_end_member_residual", "ten_components", "guide_shift", "snr_lowest", "psf_off"):
        assert findings[name].passed, findings[name]


def test_the_command_takes_a_subfield_and_tells_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, code in ((0.3, 0), (0.9, 1)):
        found = [check.Finding("R2_highest", value, None, (0.1, 0.45))]
        monkeypatch.setattr(subfields, "run", lambda *_, found=found, **__: found)
        assert verb.simulate(["--check", "sar"]) == code


def test_an_unknown_subfield_is_refused() -> None:
    with pytest.raises(ConfigError, match="classification"):
        subfields.run("lidars")
    with pytest.raises(ConfigError, match="worldview3"):
        verb.simulate(["--check", "worldview33"])
