"""ModelCheckpoint: saves the model or its weights while it trains."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from kcore.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves at the end of epochs or every so many batches. A save replaces the old file whole or not at all.

    Args:
        filepath: file, with names in braces for the epoch, the batch and the logs: "w{epoch:02d}-{val_loss:.2f}.keras". It
            must end in ".keras" or ".h5", or in ".weights.h5" where only weights are saved.
        monitor: name in the logs that says what is best.
        verbose: 1 prints what is saved.
        save_best_only: save only what improves upon the best so far.
        save_weights_only: save the weights, not the whole model.
        mode: "min", "max" or "auto".
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: the best so far at the start.
    """

    _reads_batch_logs = False

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"[ModelCheckpoint] save_freq: expected 'epoch' or a positive integer, received {save_freq!r}"
            )
        self.save_freq = save_freq
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            what = "weights" if save_weights_only else "a model"
            raise ValueError(
                f"[ModelCheckpoint] the file of {what} must end in {' or '.join(endings)}, received {self.filepath}"
            )
        self._batches_since_save = 0
        self._last_batch = 0
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        self._last_batch = -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches_since_save += batch - self._last_batch  # several where steps_per_execution > 1
        self._last_batch = batch
        if self._batches_since_save >= self.save_freq:
            self._batches_since_save = 0
            self._save(self._epoch, batch, logs() if callable(logs) else logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict | None) -> None:
        logs = logs or {}
        path = self._path(epoch, batch, logs)
        if self.save_best_only and not self._is_best(epoch, logs, path):
            return
        if self.verbose and not self.save_best_only:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _is_best(self, epoch: int, logs: dict, path: str) -> bool:
        if self.monitor_op is None:
            self._set_monitor_op()
        current = self._monitored(logs)
        if current is None:
            return True  # better one save too many than none
        if isinstance(current, np.ndarray) and current.ndim:
            warnings.warn(
                f"ModelCheckpoint expects `{self.monitor}` to be a scalar, received shape {current.shape}: saving",
                stacklevel=4,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            if self.verbose:
                print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        if self.verbose:
            change = f"{self.monitor} improved from {best} to {current:.5f}"
            print(f"\nEpoch {epoch + 1}: {change}, saving model to {path}")
        self.best = current
        return True

    def _path(self, epoch: int, batch: int | None, logs: dict) -> str:
        names = {"epoch": epoch + 1, **logs}
        if batch is not None:
            names["batch"] = batch + 1
        try:
            return self.filepath.format(**names)
        except (KeyError, IndexError) as error:
            raise KeyError(
                f'[ModelCheckpoint] the filepath may name {sorted(names)}, received "{self.filepath}" with {error}'
            ) from None
