"""An installed copy works outside the repository: the configs travel inside the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_wheel_lists_and_composes_outside_the_repository(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert (site / "fusionbench" / "configs" / "model" / "pannet.yaml").is_file()
    assert not (site / "configs").exists(), "configs belong to the package, not beside it"
    assert not (site / "tests").exists()
    # the editable copy of this checkout must not answer instead
    script = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import fusionbench\n"
        f"assert {str(site)!r} in fusionbench.__file__\n"
        "from fusionbench.app.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    for arguments, word in (
        (["list", "models"], "pannet"),
        (["train", "model=pannet", "data=worldview3", "--cfg", "job"], "max_steps"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
