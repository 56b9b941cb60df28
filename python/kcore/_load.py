"""Loads the compute core. Imported before anything else of kcore."""

from __future__ import annotations

import importlib
import os

# How long OpenMP threads spin for the next op before they sleep. By default, libgomp spins for milliseconds, and programs
# that share their CPUs with others become many times slower: every spinning thread takes a time slice from one that has
# work. A few ten microseconds bridge the gap between two ops.
_SPIN = ("GOMP_SPINCOUNT", "2000")


def load_core() -> None:
    """Imports kcore._core with OpenMP waiting briefly, unless the environment says how it should wait."""
    name, value = _SPIN
    ours = name not in os.environ and "OMP_WAIT_POLICY" not in os.environ
    if ours:
        os.environ[name] = value
    try:
        importlib.import_module("kcore._core")
    finally:
        if ours:  # child processes and other libraries keep their own
            del os.environ[name]


load_core()
