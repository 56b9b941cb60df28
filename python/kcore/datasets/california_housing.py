"""California housing: median prices of 20,640 districts by 8 features."""

from __future__ import annotations

import os

from kcore.datasets.archives import STORAGE
from kcore.datasets.splits import Arrays, load_regression

_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(
    version: str = "large", path: str | os.PathLike = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: float32 (N, 8) and prices (N,) in dollars.

    Args:
        version: `"large"` for all districts, `"small"` for the first 600.
        path: name in the cache, or the URL or local path of the archive.
        test_split: fraction of samples in the test part.
        seed: seed of the shuffle.

    Source: R. Pace, R. Barry, Statistics & Probability Letters 33 (1997),
    https://www.dcc.fc.up.pt/~ltorgo/Regression/cal_housing.html
    """
    if version not in ("large", "small"):
        raise ValueError(f"[load_data] expected version 'large' or 'small', received {version!r}")
    limit = 600 if version == "small" else None
    return load_regression(path, f"{STORAGE}california_housing.npz", _HASH, test_split, seed, limit)
