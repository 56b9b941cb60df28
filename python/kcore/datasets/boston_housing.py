"""Boston housing: prices of 506 homes by 13 features. Kept for old scripts; one feature is built on race."""

from __future__ import annotations

import os

from kcore.datasets.archives import STORAGE
from kcore.datasets.splits import Arrays, load_regression

_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(
    path: str | os.PathLike = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: float64 (404, 13) and (102, 13), prices float64 in thousands of dollars.

    Args:
        path: name in the cache, or the URL or local path of the archive.
        test_split: fraction of samples in the test part.
        seed: seed of the shuffle.

    Source: D. Harrison, D. Rubinfeld, J. Environ. Econ. Management 5 (1978), http://lib.stat.cmu.edu/datasets/boston
    """
    return load_regression(path, f"{STORAGE}boston_housing.npz", _HASH, test_split, seed)
