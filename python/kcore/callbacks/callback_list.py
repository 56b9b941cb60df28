"""CallbackList: calls each hook of many callbacks, and only those that override it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.callbacks.callback import Callback
from kcore.callbacks.history import History
from kcore.callbacks.progbar_logger import ProgbarLogger

_BATCH_HOOKS = {
    f"on_{mode}_batch_{edge}": (f"on_batch_{edge}",) if mode == "train" else ()
    for mode in ("train", "test", "predict")
    for edge in ("begin", "end")
}


class CallbackList(Callback):
    """Several callbacks as one.

    Args:
        callbacks: callbacks, or nests of them.
        add_history: add a `History` unless there is one.
        add_progbar: add a `ProgbarLogger` unless there is one.
        model: handed to the callbacks.
        params: the loop's parameters, handed to the callbacks.
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False, model: Any = None,
                 **params: Any):  # fmt: skip
        super().__init__()
        self.callbacks = list(tree.flatten(callbacks)) if callbacks is not None else []
        for callback in self.callbacks:
            if not all(hasattr(callback, hook) for hook in ("set_model", "set_params", "on_epoch_end")):
                raise ValueError(f"[callbacks] expected Callback objects, received {callback!r}")
        self._history = self._progbar = None
        for callback in self.callbacks:
            if isinstance(callback, ProgbarLogger):
                self._progbar = callback
            elif isinstance(callback, History):
                self._history = callback
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        self._listeners: dict[str, list[Callable]] = {}
        self._lazy_listeners: dict[str, list[Callable]] = {}
        self._find_batch_listeners()
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def _find_batch_listeners(self) -> None:
        for hook, older in _BATCH_HOOKS.items():
            listening = [c for c in self.callbacks if _overrides(c, hook) or any(_overrides(c, name) for name in older)]
            eager = [c for c in listening if getattr(c, "_reads_batch_logs", True)]
            self._listeners[hook] = [getattr(c, hook) for c in listening if c in eager]
            self._lazy_listeners[hook] = [getattr(c, hook) for c in listening if c not in eager]

    def append(self, callback: Callback) -> None:
        """Adds a callback."""
        self.callbacks.append(callback)
        self._find_batch_listeners()

    def set_params(self, params: dict[str, Any]) -> None:
        """Hands the parameters on."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hands the model on; its `history` is the History of this list."""
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def _batch_hook(self, hook: str, batch: int, logs: Any) -> None:
        for listener in self._lazy_listeners[hook]:
            listener(batch, logs)
        listeners = self._listeners[hook]
        if listeners:
            logs = logs() if callable(logs) else (logs or {})
            for listener in listeners:
                listener(batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_hook("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch_hook("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_hook("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch_hook("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_hook("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch_hook("on_predict_batch_end", batch, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_train_batch_end(batch, logs)

    def _each(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._each("on_epoch_begin", epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._each("on_epoch_end", epoch, {} if logs is None else logs)

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._each("on_train_begin", logs or {})

    def on_train_end(self, logs: dict | None = None) -> None:
        self._each("on_train_end", logs or {})

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._each("on_test_begin", logs or {})

    def on_test_end(self, logs: dict | None = None) -> None:
        self._each("on_test_end", logs or {})

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._each("on_predict_begin", logs or {})

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._each("on_predict_end", logs or {})


def _overrides(callback: Any, hook: str) -> bool:
    own = callback.__dict__.get(hook)
    return own is not None or getattr(type(callback), hook, None) is not getattr(Callback, hook)
