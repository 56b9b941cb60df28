"""Recordings: the recorded steps of a model."""

from __future__ import annotations

from collections.abc import Callable

from kcore._core import Arenas
from kcore.autograd.recorder import Recorded


class Recordings:
    """The recorded steps of a model. Copies of it and what is pickled are empty: recordings refer to the model.

    reason: why these steps are recorded, for `KCORE_LOG=program`.
    """

    def __init__(self, reason: str = "first call") -> None:
        self._reason = reason
        self._steps: dict[str, tuple[Callable, Recorded]] = {}
        self._arenas = Arenas()  # of one model, one step runs at a time

    def of(self, name: str, method: Callable, step: Callable, ahead: Callable[[], bool] | None = None) -> Recorded:
        """The recording of a step; a new one if it is made of another method than the last. ahead: see `Recorded`."""
        known, recorded = self._steps.get(name, (None, None))
        if recorded is None or known is not method:
            reason = self._reason if recorded is None else "it is another method now"
            recorded = Recorded(step, self._arenas, name, reason, ahead)
            self._steps[name] = method, recorded
        return recorded

    def __reduce__(self) -> tuple:
        return Recordings, ()
