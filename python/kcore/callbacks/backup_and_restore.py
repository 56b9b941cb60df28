"""BackupAndRestore: training that was cut off goes on where its last backup was made."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from kcore.callbacks.callback import Callback

_METADATA = "training_metadata.json"


class BackupAndRestore(Callback):
    """Backs up the weights and the optimizer's state; the next `fit` with the same folder restores them and goes on there.

    A backup is complete or not there: new weights get a file of their own, and the metadata that name it replace the old
    metadata in one step. With a number as `save_freq` the epoch that was cut off skips the batches it had done.

    Args:
        backup_dir: a folder for this alone.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: keep the backup before the last as well.
        delete_checkpoint: remove the folder when training has ended.
    """

    _reads_batch_logs = False

    def __init__(self, backup_dir: Any, save_freq: Any = "epoch", double_checkpoint: bool = False,
                 delete_checkpoint: bool = True):  # fmt: skip
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"[BackupAndRestore] expected save_freq to be 'epoch' or an integer, received {save_freq!r}"
            )
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._epoch = 0
        self._batches_done = 0
        self._batches_since_save = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        metadata = self._metadata()
        if metadata is None:
            return
        model = self.model
        if not model.built:
            raise ValueError("[BackupAndRestore] expected a built model to restore; call it on data or build it first")
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(os.path.join(self.backup_dir, metadata.get("weights", "latest.weights.h5")))
        model._initial_epoch = metadata["epoch"]
        model._initial_batch = metadata.get("batches_done", 0)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        self._batches_done = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches_since_save += batch + 1 - self._batches_done
        self._batches_done = batch + 1
        if self.save_freq != "epoch" and self.save_freq and self._batches_since_save >= self.save_freq:
            self._save(self._epoch, self._batches_done)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.delete_checkpoint and os.path.isdir(self.backup_dir):
            shutil.rmtree(self.backup_dir)

    def _metadata(self) -> dict | None:
        path = os.path.join(self.backup_dir, _METADATA)
        if not os.path.exists(path):
            return None
        with open(path) as file:
            return json.load(file)

    def _save(self, epoch: int, batches_done: int) -> None:
        self._batches_since_save = 0
        os.makedirs(self.backup_dir, exist_ok=True)
        previous = self._metadata()
        name = "latest.weights.h5" if previous is None else _other(previous.get("weights", "latest.weights.h5"))
        self.model.save_weights(os.path.join(self.backup_dir, name), overwrite=True)
        path = os.path.join(self.backup_dir, _METADATA)
        with open(path + ".new", "w") as file:
            json.dump(
                {"epoch": epoch, "batch": max(batches_done - 1, 0), "batches_done": batches_done, "weights": name}, file
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        if previous is not None and not self.double_checkpoint:
            os.unlink(os.path.join(self.backup_dir, previous.get("weights", "latest.weights.h5")))


def _other(name: str) -> str:
    return "next.weights.h5" if name == "latest.weights.h5" else "latest.weights.h5"
