"""Interleaved timing of opponents in one process: medians, after their outputs were compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np


def compare(
    name: str, opponents: dict[str, Callable[[], np.ndarray]], tolerance: float, seconds: float = 1.0
) -> dict[str, float]:
    """Median seconds of a call of each opponent.

    Every opponent is called in turn, round after round, so that a slow moment of the machine hits all of them.

    Args:
        name: What is compared, for the error message.
        opponents: A function for each, that computes the same thing and returns it.
        tolerance: Largest difference allowed, relative to the largest absolute value.
        seconds: How long to measure each.

    Raises:
        AssertionError: The outputs differ: nothing is timed.
    """
    outputs = {who: np.asarray(f(), dtype=np.float64) for who, f in opponents.items()}
    (first, reference), *others = outputs.items()
    scale = np.abs(reference).max() or 1.0
    for who, y in others:
        error = np.abs(y - reference).max() / scale
        assert error <= tolerance, f"{name}: {who} and {first} differ by {error:.2g} (allowed {tolerance:.2g})"
    times: dict[str, list[float]] = {who: [] for who in opponents}
    end = time.perf_counter() + seconds * len(opponents)
    rounds = 0
    while rounds < 5 or time.perf_counter() < end:
        for who, f in opponents.items():
            start = time.perf_counter()
            f()
            times[who].append(time.perf_counter() - start)
        rounds += 1
    return {who: statistics.median(t) for who, t in times.items()}


def geometric_mean(values: list[float]) -> float:
    """The mean of ratios."""
    return float(np.exp(np.mean(np.log(values))))
