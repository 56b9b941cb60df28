"""ProgbarLogger: the progress bar of fit, evaluate and predict."""

from __future__ import annotations

from typing import Any

from kcore.callbacks.callback import Callback
from kcore.callbacks.progbar import Progbar


class ProgbarLogger(Callback):
    """Shows the progress of each epoch with the metrics so far; `verbose` of the loop says how."""

    _reads_batch_logs = False

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self.progbar: Progbar | None = None
        self._in_epoch = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self.verbose = 1 if params["verbose"] == "auto" else params["verbose"]
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._reset()
        self._in_epoch = True
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._in_epoch = False
        self._finish(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._reset()

    def on_test_end(self, logs: dict | None = None) -> None:
        if not self._in_epoch:
            self._finish(logs)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._reset()

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._finish(None)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._in_epoch:
            self._show(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch, None)

    def _reset(self) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose) if self.verbose else None

    def _show(self, batch: int, logs: Any) -> None:
        self.seen = batch + 1
        if self.progbar is not None and self.progbar.is_due(self.seen):
            logs = logs() if callable(logs) else (logs or {})
            self.progbar.update(self.seen, list(logs.items()), finalize=False)

    def _finish(self, logs: dict | None) -> None:
        if self.progbar is None:
            return
        logs = logs or {}
        if self.target is None and self.seen:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.seen, list(logs.items()), finalize=True)
        self.progbar = None
