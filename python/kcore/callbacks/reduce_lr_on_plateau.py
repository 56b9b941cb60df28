"""ReduceLROnPlateau: lowers the learning rate when a metric no longer improves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.callbacks.monitor import MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement.

    Args:
        monitor: name in the logs.
        factor: in (0, 1).
        patience: epochs to wait.
        verbose: 1 prints what happens.
        mode: "min", "max" or "auto".
        min_delta: an improvement smaller than this does not count.
        cooldown: epochs after a reduction that do not count.
        min_lr: the rate does not go below.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        if kwargs:
            raise TypeError(f"[ReduceLROnPlateau] expected no further arguments, received {sorted(kwargs)}")
        super().__init__(monitor, mode, min_delta)
        if not math.isfinite(factor) or factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that epochs do not count yet."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.monitor_op is None:
            self._set_monitor_op()
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = float(optimizer.learning_rate)
        current = self._monitored(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch, optimizer)

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        # min_delta beside the reference, where EarlyStopping has it beside the value: ties are decided as in Keras.
        return reference is None or bool(self.monitor_op(value, reference + self.min_delta))

    def _reduce(self, epoch: int, optimizer: Any) -> None:
        old = float(optimizer.learning_rate)
        if old <= float(np.float32(self.min_lr)):
            return
        new = max(old * self.factor, self.min_lr)
        optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0
