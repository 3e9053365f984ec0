"""What ``describe`` tells: a card, and what a model is made of."""

from __future__ import annotations

import pytest

from fusionbench.app import catalogue
from fusionbench.app.anatomy import anatomy
from fusionbench.app.cli import door
from fusionbench.errors import RefusedError


def test_a_models_parts_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert door("describe", ["model=psgan", "data=quickbird"]) == 0
    said = capsys.readouterr().out
    assert "built for: data=quickbird" in said
    assert "critics." in said
    assert "start at multiples of 4 PAN px" in said


def test_windows_radius_and_schedules() -> None:
    found = anatomy("panformer", None, catalogue.search_path())
    assert found["parameters"] == {"network": "1,527,708"}  # the sheet's count for 8 bands
    assert found["inputs"]["ratio"] == [4]
    assert found["sees"]["windows or strides"].startswith("start at multiples of 16 PAN px")
    assert found["schedules"]["paper"] == "own"


def test_pnn_sees_its_three_kernels_and_the_interpolator() -> None:
    # 9 x 9, 5 x 5 and 5 x 5 reach 8 px; EXP reaches further, in px of MS
    radius = int(anatomy("pnn", "quickbird", catalogue.search_path())["sees"]["radius"].split()[0])
    assert 8 + 4 * 6 <= radius <= 8 + 4 * 16


def test_scene_wide_methods_and_those_that_need_a_file() -> None:
    path = catalogue.search_path()
    assert anatomy("gsa", None, path)["sees"]["radius"] == "the whole scene"
    assert "model.module.start is not given" in anatomy("apnn_adapted", None, path)["parameters"]


def test_the_plain_card_stays_free_of_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert door("describe", ["pannet"]) == 0
    assert "parameters" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["model=panet", "data=worldview9", "panet"])
def test_unknown_names(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door("describe", [text]) == 2
    assert "there is no such" in capsys.readouterr().err


def test_a_data_set_that_does_not_fit_is_refused_with_the_reason() -> None:
    with pytest.raises(RefusedError, match="ratio 4"):
        anatomy("panformer", "landsat8", catalogue.search_path())
