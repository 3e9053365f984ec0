"""Write docs/performance.md from benchmarks/results. Run: python scripts/performance_page.py (make bench measures)"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
NOTES = ROOT / "benchmarks" / "notes.md"
HEAD = """# Performance

Measured by `make bench` (one part: `python -m benchmarks <name>`). Each figure stands beside a reference on the same
work in the same run, as the median of repeated runs that took turns; *ratio* is how many times faster ours is.
Absolute times belong to the machine named; compare the ratios.
"""


def page() -> str:
    """The whole page as Markdown."""
    lines = [HEAD]
    for file in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        machine = ", ".join(f"{key} {value}" for key, value in found["machine"].items() if value is not None)
        lines += [f"## {found['title']}\n", f"`python -m benchmarks {file.stem}` on {machine}.\n"]
        lines += ["| what | ours | reference | against | ratio | target |", "|---|---|---|---|---|---|"]
        for row in found["rows"]:
            reference = "" if row["reference"] is None else f"{row['reference']:g} {row['unit']}"
            ratio = "" if row["ratio"] is None else f"{row['ratio']:g}"
            cells = [row["what"], f"{row['ours']:g} {row['unit']}", reference, row["against"], ratio, row["target"]]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    if NOTES.is_file():
        lines.append(NOTES.read_text(encoding="utf-8").rstrip())
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
