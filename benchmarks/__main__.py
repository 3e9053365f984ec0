"""``python -m benchmarks [name ...]``: run benchmarks, write results/<name>.json and docs/performance.md."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from benchmarks.measure import write

HERE = Path(__file__).parent
NAMES = ("indices", "prediction", "simulation", "startup", "training")


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all of them."""
    unknown = [name for name in arguments if name not in NAMES]
    if unknown:
        sys.stderr.write(f"error: no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}\n")
        return 2
    for name in arguments or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        sys.stderr.write(f"{module.TITLE} ...\n")
        sys.stderr.write(f"  {write(name, module.TITLE, module.run())}\n")
    spec = importlib.util.spec_from_file_location("performance_page", HERE.parent / "scripts" / "performance_page.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    page.PAGE.write_text(page.page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
