"""CSVLogger: the results of each epoch as a row of a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from kcore.callbacks.callback import Callback


class CSVLogger(Callback):
    """Writes a row for each epoch, with a header of the names; each row is on disk when its epoch ends.

    Args:
        filename: the file.
        separator: between the columns.
        append: add to a file that is there instead of replacing it.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self.csv_file: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._write_header = True
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="") as file:
                first = file.readline()
            self._write_header = not first
            if first and self.keys is None:  # go on with the columns that are there
                self.keys = [name for name in first.strip().split(self.sep) if name != "epoch"]
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        if self.keys is None:
            self.keys = [*logs, *(f"val_{name}" for name in logs if f"val_{name}" not in logs and "val_loss" not in logs
                                  and not name.startswith("val_"))]  # fmt: skip
        if self._writer is None:
            self._writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep, extrasaction="ignore",
                                          lineterminator="\n")  # fmt: skip
            if self._write_header:
                self._writer.writeheader()
        row = {name: _text(logs.get(name, "NA")) for name in self.keys}
        self._writer.writerow({"epoch": epoch, **row})
        self.csv_file.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.csv_file.close()
        self._writer = None


def _text(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value
    if isinstance(value, Iterable):
        return '"[' + ", ".join(map(str, value)) + ']"'
    return value
