"""Write docs/models.md, the table of every method, from the cards. Run: python scripts/model_page.py"""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"
HEAD = """# Methods

Generated from the cards in `configs/model/` by `python scripts/model_page.py`.
Run any of them with `python train.py model=<id> data=<data set>`.
"""


def cards() -> list[dict]:
    """Every method's card, sorted by task, regime and id."""
    found = []
    for file in sorted((ROOT / "configs" / "model").glob("[!_]*.yaml")):
        found.append(yaml.safe_load(file.read_text(encoding="utf-8"))["card"] | {"id": file.stem})
    return sorted(found, key=lambda card: (card["task"], card["regime"] == "classical", card["regime"], card["id"]))


def page() -> str:
    """The whole page as Markdown."""
    lines = [HEAD]
    task = None
    for card in cards():
        if card["task"] != task:
            task = card["task"]
            lines += [f"\n## {task.replace('_', ' ').capitalize()}\n"]
            lines += ["| id | method | regime | roles | paper | survey |", "|---|---|---|---|---|---|"]
        roles = ", ".join(card["roles"]["required"] + [f"({role})" for role in card["roles"].get("optional") or []])
        paper = f"{card['paper']}, {card['year']}"
        paper += f" [doi](https://doi.org/{card['doi']})" if card.get("doi") else ""
        cells = [f"`{card['id']}`", card["name"], card["regime"], roles, paper, card.get("survey", "")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
