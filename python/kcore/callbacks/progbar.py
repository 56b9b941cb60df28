"""Progbar: a line of text that shows how far a loop is, its speed and its metrics."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Iterable
from typing import Any


class Progbar:
    """A progress bar on standard output.

    In a terminal the line is redrawn, `interval` seconds apart at least; elsewhere (a file, a pipe) only the finished line
    is written, so that logs stay readable.

    Args:
        target: number of steps, None if unknown.
        width: characters of the bar.
        verbose: 0 silent, 1 bar, 2 one line at the end.
        interval: seconds between drawings.
        stateful_metrics: names whose last value is shown, as it is for all that `stateless_metrics` does not name.
        stateless_metrics: names of which the mean over the steps is shown.
        unit_name: what a step is called.
    """

    def __init__(self, target: int | None, width: int = 20, verbose: int = 1, interval: float = 0.05,
                 stateful_metrics: Iterable[str] | None = None, stateless_metrics: Iterable[str] | None = None,
                 unit_name: str = "step"):  # fmt: skip
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateless_metrics = set(stateless_metrics or ()) - set(stateful_metrics or ())
        self.unit_name = unit_name
        self._sums: dict[str, list] = {}
        self._seen = 0
        self._start = time.perf_counter()
        self._last_drawn = -math.inf
        self._drawn_width = 0
        self._dynamic = sys.stdout is not None and getattr(sys.stdout, "isatty", lambda: False)()
        if "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ:
            self._dynamic = True

    def is_due(self, current: int, finalize: bool = False) -> bool:
        """Whether `update(current)` would draw; who has to work for the values may ask before."""
        if finalize:
            return True
        if self.verbose != 1 or not self._dynamic:
            return False
        is_last = self.target is not None and current >= self.target
        return is_last or time.perf_counter() - self._last_drawn >= self.interval

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Shows that `current` steps are done.

        values: pairs of name and value. finalize: ends the line; by default when `current` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            if name in self.stateless_metrics:
                total = self._sums.setdefault(name, [0.0, 0])
                steps = max(current - self._seen, 1)
                total[0] += value * steps
                total[1] += steps
            else:
                self._sums[name] = [value, 1]
        self._seen = current
        if self.verbose == 0 or not self.is_due(current, finalize) or (self.verbose == 2 and not finalize):
            return
        self._last_drawn = time.perf_counter()
        self._write(self._line(current, finalize), finalize)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Shows that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _line(self, current: int, finalize: bool) -> str:
        elapsed = time.perf_counter() - self._start
        per_step = elapsed / current if current else 0.0
        count = f"{current:{len(str(self.target))}d}/{self.target}" if self.target else f"{current}/Unknown"
        parts = [count]
        if self.verbose == 1 and self.target:
            done = min(int(self.width * current / self.target), self.width)
            bar = "━" * done, "━" * (self.width - done)
            parts.append(f"\033[32m{bar[0]}\033[37m{bar[1]}\033[0m" if self._dynamic else "".join(bar))
        left = not finalize and self.target
        seconds = format_seconds(per_step * (self.target - current) if left else elapsed)
        pace = f"{format_pace(per_step)}/{self.unit_name}"
        text = (" " if self.verbose == 1 else " - ").join([*parts, seconds, pace])
        return " - ".join([text, *(f"{name}: {_number(*total)}" for name, total in self._sums.items())])

    def _write(self, line: str, finalize: bool) -> None:
        if sys.stdout is None:
            return
        if self._dynamic and self.verbose == 1:
            columns = shutil.get_terminal_size((120, 24)).columns
            visible = line.replace("\033[32m", "").replace("\033[37m", "").replace("\033[0m", "")
            if not finalize and len(visible) >= columns:  # a wrapped line cannot be redrawn
                line = visible[: columns - 1]
                visible = line
            padding = " " * max(self._drawn_width - len(visible), 0)
            self._drawn_width = len(visible)
            sys.stdout.write("\r" + line + padding + ("\n" if finalize else ""))
        else:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _number(total: float, count: int) -> str:
    value = total / max(count, 1)
    try:
        return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"
    except TypeError:
        return str(value)


def format_seconds(seconds: float) -> str:
    """Seconds as "7s", "2:05" or "1:02:03".

    >>> format_seconds(125)
    '2:05'
    """
    seconds = int(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}" if seconds >= 60 else f"{seconds}s"


def format_pace(seconds: float) -> str:
    """Seconds of a step with a fitting unit.

    >>> format_pace(0.0042)
    '4ms'
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
