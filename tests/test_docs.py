"""Generated pages are what their generator gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_model_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("model_page", ROOT / "scripts" / "model_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python scripts/model_page.py"
