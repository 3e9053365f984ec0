"""Results of single scenes in the run folder, written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusionbench.errors import DataError

FOLDER, FILE = "fused", "fused.npz"
ESTIMATE = "estimated_"


def scene_folder(run_dir: Path, test_set: str, scene: str) -> Path:
    """Where a run keeps a scene of a test set."""
    return run_dir / FOLDER / re.sub(r"[^A-Za-z0-9._-]+", "_", f"{test_set}-{scene}")


class Fused(NamedTuple):
    """A fused scene: image [1,B,H,W] in the batch's units, seconds and steps of its fit, and what that estimated."""

    image: Tensor
    seconds: float
    steps: int
    estimates: Mapping[str, Tensor] = {}


class Kept:
    """A fused scene that a run keeps, so that it is not computed again.

    Args:
        folder: of the scene.
        fingerprint: of everything that the result depends on; a file with another one is as good as none.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = folder / FILE, fingerprint

    def read(self) -> Fused | None:
        """The scene; None where there is no whole file of this fingerprint."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                if str(file["fingerprint"]) != self.fingerprint:
                    return None
                found = {k.removeprefix(ESTIMATE): torch.from_numpy(file[k]) for k in file if k.startswith(ESTIMATE)}
                return Fused(torch.from_numpy(file["image"]), float(file["seconds"]), int(file["steps"]), found)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return None

    def write(self, fused: Fused) -> Fused:
        """Write the file and return what was written.

        Raises:
            DataError: the disk does not take it.
        """
        content: dict[str, Any] = {ESTIMATE + name: value.numpy() for name, value in fused.estimates.items()}
        content |= {"image": fused.image.detach().cpu().numpy(), "fingerprint": self.fingerprint}
        content |= {"seconds": fused.seconds, "steps": fused.steps}
        name = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, self.path)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error}); is the disk full?") from error
        finally:
            Path(name).unlink(missing_ok=True) if name else None
        return fused
