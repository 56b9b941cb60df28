"""Callback: hooks that fit, evaluate and predict call; the base of all callbacks, own ones included."""

from __future__ import annotations

from typing import Any


class Callback:
    """Does nothing at every hook; a subclass overrides those it wants.

    Attributes:
        params: a dict of what the loop runs with: "verbose", "epochs", "steps".
        model: the model in training.

    The hooks of a batch get its number, those of an epoch the epoch's number, and `logs`: a dict of the losses and
    metrics so far, floats.

    >>> class Best(Callback):
    ...     best = float("inf")
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.best = min(self.best, logs["loss"])
    """

    # False for a callback that takes `logs` at the end of a batch as a function, because it seldom looks at them: reading
    # metrics costs time.
    _reads_batch_logs = True

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before anything else, with the loop's parameters."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before anything else, with the model."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model in training."""
        return self._model

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """After an epoch of training and its validation; validation results have names that begin with "val_"."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a batch of training."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a batch of training."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a batch of evaluation, validation included."""

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a batch of evaluation."""

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a batch of prediction; `logs["outputs"]` are the outputs."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """After training; `logs` are those of the last epoch."""

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Before evaluation."""

    def on_test_end(self, logs: dict | None = None) -> None:
        """After evaluation."""

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: dict | None = None) -> None:
        """After prediction."""
