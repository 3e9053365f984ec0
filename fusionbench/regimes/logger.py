"""Learning curves as a CSV file that a resumed run continues."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

CURVES = "curves.csv"


class CsvLogger(Logger):
    """One row per call: a column ``step`` (batches done) and one for every value logged so far; empty cells elsewhere.

    Args:
        folder: the run folder, which gets ``curves.csv``.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / CURVES
        self._columns: list[str] | None = None

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run's configuration lies in its folder already."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; a value with a new name adds a column."""
        if self._columns is None:
            self._columns = self._read()[0]
        row: dict[str, Any] = {"step": step} | {k: _number(v) for k, v in metrics.items()}
        if new := [name for name in row if name not in self._columns]:
            columns, rows = self._read()
            self._write([*columns, *new], [*rows, row])
        else:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(_text(self._columns, [row]))

    @rank_zero_only
    def truncate(self, step: int) -> None:
        """Drop all rows behind a step, and a last row that was not written whole: training continues from there."""
        columns, rows = self._read()
        self._write(columns, [row for row in rows if row["step"].isdigit() and int(row["step"]) <= step])

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        if not self.path.is_file():
            return ["step"], []
        header, *lines = list(csv.reader(io.StringIO(self.path.read_text(encoding="utf-8")))) or [["step"]]
        return header, [dict(zip(header, line, strict=True)) for line in lines if len(line) == len(header)]

    def _write(self, columns: list[str], rows: list[dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(_text(None, [columns]) + _text(columns, rows))
        os.chmod(name, 0o644)
        os.replace(name, self.path)
        self._columns = columns


def _text(columns: list[str] | None, rows: list[Any]) -> str:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerows(rows if columns is None else [[row.get(name, "") for name in columns] for row in rows])
    return text.getvalue()


def _number(value: Any) -> Any:
    value = value.item() if isinstance(value, torch.Tensor) else value
    return repr(value) if isinstance(value, float) and math.isfinite(value) else value
