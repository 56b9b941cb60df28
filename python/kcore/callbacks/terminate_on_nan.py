"""TerminateOnNaN: ends training when the loss is no longer a number."""

from __future__ import annotations

import math
from typing import Any

from kcore.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Stops at the first batch after which the loss is NaN or infinite.

    Args:
        raise_error: raise a RuntimeError instead of stopping quietly.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training."
            )
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
