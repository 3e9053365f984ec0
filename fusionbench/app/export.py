"""The verb ``export``: a checkpoint's network as a file that runs without fusionbench. Torch-free until it traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusionbench.app import screen
from fusionbench.app.check import check_folder
from fusionbench.app.predict import check_checkpoint
from fusionbench.errors import ConfigError

USAGE = "fusionbench export ckpt=<run>/checkpoints/best.ckpt out=<file.onnx or file.pt2> [size=256]"


def export(arguments: Sequence[str]) -> int:
    """``fusionbench export ckpt=.. out=..``; see ``fusionbench.inference.export.export_network``.

    Raises:
        UserError: a key is missing or unknown, the file cannot be read, the method cannot be exported.
    """
    given = dict(text.split("=", 1) for text in arguments if "=" in text)
    wrong = [text for text in arguments if "=" not in text or text.split("=")[0] not in ("ckpt", "out", "size")]
    if wrong or not {"ckpt", "out"} <= set(given):
        raise ConfigError((f"{wrong[0]} is not understood; " if wrong else "ckpt and out must be given: ") + USAGE)
    if not given.get("size", "1").isdecimal() or int(given.get("size", "1")) < 1:
        raise ConfigError(f"size={given['size']}: px of the guide, a whole number above 0")
    check_checkpoint(given["ckpt"])
    out = Path(given["out"]).expanduser()
    check_folder(out.absolute().parent, free_bytes=0)

    from fusionbench.inference.export import SIZE, check_export, export_network
    from fusionbench.regimes import read_checkpoint, rebuild

    facts = read_checkpoint(given["ckpt"])["fusionbench"]
    check_export(facts, out)
    made = export_network(rebuild(given["ckpt"]), facts, out, int(given.get("size", SIZE)))
    sides = f"height and width free (from {made.size} px)" if made.free else f"height and width {made.size} px"
    screen.show(
        f"{made.path}: batch free, {sides}; differs from the network by {made.difference:.1g} at most on "
        f"a batch of another size"
    )
    return 0
