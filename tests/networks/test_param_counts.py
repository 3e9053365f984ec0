"""Parameter counts equal the fact sheets' for every part of every trained method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .cards import build_part, trained_methods

TABLE: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "param_counts.yaml").read_text())
ROWS = [(method, row) for method, rows in TABLE.items() for row in rows]


def test_every_trained_method_has_a_row() -> None:
    assert sorted(TABLE) == trained_methods(), "tests/networks/param_counts.yaml and configs/model differ"


@pytest.mark.parametrize(("method", "row"), ROWS, ids=[f"{m}-{r['part']}-{r['count']}" for m, r in ROWS])
def test_count(method: str, row: dict[str, Any]) -> None:
    facts = {"data": row["data"]} if "data" in row else {"bands": row["bands"]}
    module = build_part(method, row["part"], **facts, config=row.get("config"))
    fixed = row.get("fixed", False)
    assert sum(p.numel() for p in module.parameters() if p.requires_grad is not fixed) == row["count"]
