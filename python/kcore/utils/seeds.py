"""One seed for everything that is random."""

from __future__ import annotations

import random

import numpy as np

from kcore.autograd.random import reset_default_seed_generator


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy and kcore: the same program then gives the same numbers.

    >>> import kcore
    >>> set_random_seed(3); a = kcore.random.uniform((2,)).numpy()
    >>> set_random_seed(3); b = kcore.random.uniform((2,)).numpy()
    >>> bool((a == b).all())
    True
    """
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"[set_random_seed] expected an integer in 0 ... 2**32 - 1, received {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))
    reset_default_seed_generator()
