"""Every published layout is found where people put it; what is missing is explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusionbench.data.locate import layout, locate, resolve_source
from fusionbench.errors import ConfigError, DataNotFoundError

from . import twins
from .composing import config

# how a twin is put under the folder of all data, and what must be found: data set, collection, grid, bits, trainable
LAYOUTS: dict[str, tuple[Callable[[Path], Any], str, str, str, int, bool]] = {
    "PanCollection": (
        lambda at: twins.pancollection(at / "pancollection"), "worldview3", "pancollection", "dlpan", 11, True,
    ),
    "PanCollection, own folder": (
        lambda at: twins.pancollection(at / "wv3" / "training_wv3"), "worldview3", "pancollection", "dlpan", 11, True,
    ),
    "PanCollection, test files only": (
        lambda at: twins.patches(at / "PanCollection" / "test_gf2_multiExm1.h5", 2, 4),
        "gaofen2", "pancollection", "dlpan", 10, False,
    ),
    "PanCollection, loose": (
        lambda at: twins.patches(at / "train_qb_10000.h5", 2, 4), "quickbird", "pancollection", "dlpan", 11, True,
    ),
    "NBU": (twins.nbu, "worldview3", "nbu", "dlpan", 11, True),
    "NBU, underscores": (lambda at: twins.nbu(at, "3_Gaofen-1", 4), "gaofen1", "nbu", "dlpan", 10, True),
    "PAirMax": (twins.pairmax, "worldview3", "pairmax", "dlpan", 11, False),
    "GRIP": (lambda at: twins.grip(at / "worldview2"), "worldview2", "grip", "dlpan", 11, True),
    "GRIP, 8 bits": (lambda at: twins.grip(at / "GeoEye-1", bands=4, bits=8), "geoeye1", "grip", "dlpan", 8, True),
    "DLPan MAT": (lambda at: twins.dlpan_mat(at / "WV3"), "worldview3", "dlpan_mat", "dlpan", 11, False),
    "GF-2 tiles": (lambda at: twins.gaofen2_tiles(at / "gaofen2"), "gaofen2", "gf2", "dlpan", 10, False),
    **{
        f"GeoTIFF, {style}": (
            lambda at, style=style: twins.folder_pairs(at / "pansharpening" / "quickbird", style=style),
            "quickbird", "folder", "area", 11, True,
        )
        for style in twins.STYLES
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_found(name: str, tmp_path: Path) -> None:
    make, data, collection, grid, bits, trainable = LAYOUTS[name]
    make(tmp_path)
    found = resolve_source(config(data, tmp_path, "data.source=files"))
    assert (found["source"], found["simulated"]) == ("files", False)
    facts = (found["collection"], found["grid"], found["bits"], found["trainable"])
    assert facts == (collection, grid, bits, trainable)
    assert tmp_path.resolve() in Path(found["root"]).parents or Path(found["root"]) == tmp_path.resolve()


def test_data_root_names_one_folder(tmp_path: Path) -> None:
    twins.grip(tmp_path / "somewhere" / "else")
    found = resolve_source(config("worldview2", tmp_path / "none", f"data.root={tmp_path}/somewhere/else"))
    assert found["root"] == str((tmp_path / "somewhere" / "else").resolve())
    with pytest.raises(DataNotFoundError, match=r"no files of WorldView-2"):
        resolve_source(config("worldview2", tmp_path, f"data.root={tmp_path}/somewhere"))


def test_the_cards_order_decides_and_a_name_overrules_it(tmp_path: Path) -> None:
    twins.nbu(tmp_path)
    twins.pancollection(tmp_path / "pancollection")
    assert resolve_source(config("worldview3", tmp_path))["collection"] == "pancollection"
    assert resolve_source(config("worldview3", tmp_path, "data.collection=nbu"))["collection"] == "nbu"
    with pytest.raises(DataNotFoundError):
        resolve_source(config("worldview3", tmp_path, "data.collection=pairmax"))


def test_another_sensors_files_are_not_taken(tmp_path: Path) -> None:
    twins.pancollection(tmp_path / "pancollection")
    twins.nbu(tmp_path)
    assert resolve_source(config("worldview2", tmp_path))["simulated"] is True


def test_without_files_auto_simulates(tmp_path: Path) -> None:
    found = resolve_source(config("worldview3", tmp_path / "nothing"))
    assert found == {
        "source": "simulated", "simulated": True, "collection": "simulated", "grid": "area", "root": None, "bits": 11,
        "trainable": True,
    }  # fmt: skip


def test_simulated_looks_at_no_files(tmp_path: Path) -> None:
    twins.pancollection(tmp_path / "pancollection")
    assert locate(config("worldview3", tmp_path, "data.source=simulated")["data"], tmp_path) is None


def test_missing_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError) as caught:
        resolve_source(config("worldview3", tmp_path, "data.source=files"))
    text = str(caught.value)
    for said in (
        "no files of WorldView-3 (data=worldview3) found",
        f"Looked in: {tmp_path}",
        "no folder named worldview3 (or wv3)",
        "PanCollection (data.collection=pancollection), 5.4 to 6.2 GB",
        "get it from: https://github.com/liangjiandeng/PanCollection",
        "licence: ",
        "train_wv3.h5",
        "6 WorldView-3/",
        "data.source=simulated (or auto)",
    ):
        assert said in text


def test_every_collection_says_how_to_get_it(tmp_path: Path) -> None:
    for data in ("worldview2", "worldview3", "worldview4", "quickbird", "ikonos", "geoeye1", "gaofen1", "gaofen2",
                 "pleiades1b", "spot7", "landsat8"):  # fmt: skip
        card = config(data, tmp_path)["data"]["card"]
        for name, entry in card["collections"].items():
            assert all(entry[key] for key in ("title", "licence", "obtain", "size", "citation", "grid")), (data, name)
            text = layout(card, name)
            assert "{" not in text
            assert data in text or entry.get("code", "?") in text or entry.get("folder", "?") in text


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.source=filse", r"data\.source=filse: one of auto, files, simulated"),
        ("data.collection=nub", r"data\.collection=nub: one of auto, simulated, pancollection"),
        ("data.grid=dlpn", r"data\.grid=dlpn: one of auto, area, dlpan"),
        ("data.align=local", r"data\.align=local: one of none, global"),
        ("data.bits=17", r"data\.bits=17: a whole number from 1 to 16"),
    ],
)
def test_values_that_cannot_be(override: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve_source(config("worldview3", tmp_path, override))


def test_bits_and_grid_can_be_set(tmp_path: Path) -> None:
    twins.grip(tmp_path / "worldview2")
    found = resolve_source(config("worldview2", tmp_path, "data.bits=12", "data.grid=area"))
    assert (found["bits"], found["grid"]) == (12, "area")
