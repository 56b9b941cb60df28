"""Interleaved timing of opponents in one process: outputs compared first, then round after round, then medians."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# A sample is at least this long, or clocks and cold thread pools would be what is measured of small ops.
_SAMPLE = 2e-4


@dataclass(frozen=True)
class Times:
    """Seconds of one call: the quartiles of the samples, and how many there were."""

    first: float
    median: float
    third: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half of the interquartile range, relative to the median: the noise of a run."""
        return (self.third - self.first) / 2 / self.median


def difference(got: Sequence[np.ndarray | None], want: Sequence[np.ndarray | None]) -> float:
    """The largest difference between two lists of outputs, each relative to its largest absolute value.

    None, and outputs that only one side has, are not compared.

    Raises:
        AssertionError: Shapes differ.
    """
    worst = 0.0
    for a, b in zip(got, want):
        if a is None or b is None:
            continue
        assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
        if a.dtype.kind == "f" and a.size:
            error = np.abs(a - b).max() / (np.abs(b).max() or 1.0)
            worst = max(worst, float(error) if np.isfinite(error) else math.inf)
        elif a.size:
            worst = max(worst, float((a != b).mean()))
    return worst


def _once(f: Callable[[], object], calls: int) -> float:
    """Seconds of a call. Each result is freed before the next call, so that allocators can reuse its memory."""
    start = time.perf_counter()
    for _ in range(calls):
        f()
    return (time.perf_counter() - start) / calls


def measure(opponents: dict[str, Callable[[], object]], seconds: float) -> dict[str, Times]:
    """Times of a call of each opponent.

    They take turns, and every other round in reverse order, so that a slow moment of the machine hits all of them.

    Args:
        opponents: What to call.
        seconds: How long to measure each, beyond the three rounds that even the slowest gets.
    """
    calls = {}
    for who, f in opponents.items():
        once = min(_once(f, 1), _once(f, 1))  # also warms caches, thread pools and allocators
        calls[who] = max(1, min(1000, round(_SAMPLE / once)))
    samples: dict[str, list[float]] = {who: [] for who in opponents}
    order = list(opponents.items())
    rounds, end = 0, time.perf_counter() + seconds * len(opponents)
    while rounds < 3 or time.perf_counter() < end:
        for who, f in reversed(order) if rounds % 2 else order:
            samples[who].append(_once(f, calls[who]))
        rounds += 1
    return {who: Times(*statistics.quantiles(s, n=4, method="inclusive"), len(s)) for who, s in samples.items()}


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(statistics.fmean(map(math.log, values)))
