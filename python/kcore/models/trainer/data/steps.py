"""Steps: walks a reader epoch by epoch, some batches at a time."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any


class Steps:
    """The steps of each epoch.

    Args:
        data: a reader (`make_data`).
        steps: batches per epoch. None reads the data to its end; with a number, an epoch goes on where the last ended.
        steps_per_execution: batches handed out at a time.
    """

    def __init__(self, data: Any, steps: int | None = None, steps_per_execution: int = 1):
        if steps is not None and steps < 1:
            raise ValueError(f"[data] expected a positive number of steps per epoch, received {steps!r}")
        self.data = data
        self._steps = steps
        self._size = steps_per_execution
        self._iterator: Iterator[Any] | None = None
        self._num_batches = data.num_batches

    @property
    def num_batches(self) -> int | None:
        """Batches per epoch; None while that is unknown."""
        return self._steps or self._num_batches

    def __iter__(self) -> Iterator[tuple[int, int, list]]:
        """Triples of the numbers of the first and last batch, and the batches, of one epoch."""
        self.data.on_epoch_begin()
        fresh = self._iterator is None or self._steps is None
        if fresh:
            self._iterator = iter(self.data)
        done = 0
        while self._steps is None or done < self._steps:
            size = self._size if self._steps is None else min(self._size, self._steps - done)
            batches = list(itertools.islice(self._iterator, size))
            if (
                not batches and done == 0 and not fresh and self.data.can_restart
            ):  # the last epoch ended where the data did
                self._iterator, fresh = iter(self.data), True
                continue
            if batches:
                yield done, done + len(batches) - 1, batches
                done += len(batches)
            if len(batches) < size:
                if self._steps is not None or done == 0:
                    _warn_out_of_data()
                self._iterator = None
                break
        if self._steps is None:
            self._num_batches = done or self._num_batches
        self.data.on_epoch_end()


def _warn_out_of_data() -> None:
    warnings.warn(
        "Your input ran out of data; interrupting the epoch. Make sure that your dataset or generator can generate at "
        "least `steps_per_epoch * epochs` batches. You may need to use the `.repeat()` function when building your dataset.",
        stacklevel=4,
    )
