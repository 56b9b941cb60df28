"""SwapEMAWeights: evaluate and save with the optimizer's moving averages, train on with the weights."""

from __future__ import annotations

from typing import Any

from kcore.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """Swaps weights and moving averages around evaluation and prediction. Put it before a ModelCheckpoint.

    Args:
        swap_on_epoch: swap at the end of each epoch and back at the start of the next, too.
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _swap(self) -> None:
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError("[SwapEMAWeights] expected an optimizer with use_ema=True")
        if not optimizer.built:
            return
        self._swapped = not self._swapped
        for variable, average in zip(optimizer._trainable_variables, optimizer._averages, strict=True):
            value = variable.value
            variable.assign(average.value)
            average.assign(value)

    def _swap_in(self) -> None:
        if not self._swapped:
            self._swap()

    def _swap_out(self) -> None:
        if self._swapped:
            self._swap()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._swap_out()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._swap_in()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_in()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_out()

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._swap_in()
