"""LambdaCallback: functions as hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.callbacks.callback import Callback


class LambdaCallback(Callback):
    """Calls functions at hooks. Those of epochs get (epoch, logs), those of batches (batch, logs), the others (logs).

    Further hooks are keyword arguments of their names (`on_test_begin=...`).

    >>> from kcore.callbacks import LambdaCallback
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))
    >>> shout.on_epoch_end(3)
    3
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if function is not None:
                setattr(self, name, _with_optional_logs(function) if name.startswith("on_") else function)


def _with_optional_logs(function: Callable) -> Callable:
    """A hook may be called without logs; the function always gets them as its last argument."""

    def hook(*args: Any, logs: dict | None = None) -> Any:
        numbers = [a for a in args if not isinstance(a, dict) and a is not None]
        given = next((a for a in args if isinstance(a, dict)), logs)
        return function(*numbers, given)

    return hook
