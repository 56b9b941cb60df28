"""What a function that is called again later must find as it was: lists how to keep it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

# Each gives what brings back, as a context, a state that this thread has now (in which mode a layer runs, say).
surroundings: list[Callable[[], Callable[[], AbstractContextManager]]] = []
