"""MonitorCallback: what the callbacks that watch one metric share."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.callbacks.callback import Callback


class MonitorCallback(Callback):
    """Watches the value of one name in the logs.

    Args:
        monitor: the name.
        mode: "min", "max", or "auto": by what the metric is, or by its name.
        min_delta: an improvement smaller than this does not count.
        best: value to improve upon; None accepts the first.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0, best: float | None = None
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = best
        self.min_delta = abs(min_delta)
        self.monitor_op: Callable[[Any, Any], Any] | None = None

    def _set_monitor_op(self) -> None:
        """Finds out whether less or more is better; needs the model's metrics where mode is "auto"."""
        mode = self.mode
        if mode == "auto":
            mode = self._direction()
        self.monitor_op = np.less if mode == "min" else np.greater
        if mode == "min":
            self.min_delta = -abs(self.min_delta)

    def _direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "min"
        for metric in _all_metrics(self.model):
            if name == metric.name or name.endswith("_" + metric.name):
                direction = getattr(metric, "_direction", None)
                if direction in ("up", "down"):
                    return "max" if direction == "up" else "min"
                break
        if name in ("acc", "accuracy") or name.endswith(("acc", "accuracy", "auc", "precision", "recall")):
            return "max"
        raise ValueError(
            f"[{type(self).__name__}] cannot tell whether '{self.monitor}' should rise or fall: pass mode='min' or 'max'"
        )

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        return reference is None or bool(self.monitor_op(value - self.min_delta, reference))

    def _monitored(self, logs: dict | None) -> float | None:
        """The watched value; warns and gives None where the logs lack it."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            close = difflib.get_close_matches(self.monitor, list(logs), n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            warnings.warn(
                f"{type(self).__name__} is conditioned on metric `{self.monitor}` which is not available. Available metrics "
                f"are: {','.join(logs)}.{hint}",
                stacklevel=3,
            )
        return value


def _all_metrics(model: Any) -> list:
    found = []
    for metric in getattr(model, "metrics", []):
        found.extend(getattr(metric, "metrics", None) or [metric])
    return found
