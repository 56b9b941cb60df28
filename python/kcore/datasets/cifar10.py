"""CIFAR-10: 60,000 colour pictures, 32 x 32, in ten classes."""

from __future__ import annotations

import os

import numpy as np

from kcore.datasets import cifar
from kcore.datasets.splits import Arrays

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data(path: str | os.PathLike | None = None) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), labels uint8 (N, 1).

    The labels: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Args:
        path: None for the cache, or the URL or local path of the archive, or a folder with its batches.

    Raises:
        ConnectionError: the archive is not in the cache and cannot be downloaded.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html
    """
    folder = cifar.folder(path, "cifar-10-batches-py-target", "cifar-10-batches-py", _ORIGIN, _HASH)
    batches = [cifar.load_batch(os.path.join(folder, f"data_batch_{i}")) for i in range(1, 6)]
    x_train = np.concatenate([x for x, _ in batches])
    y_train = np.concatenate([y for _, y in batches])
    return (x_train, y_train), cifar.load_batch(os.path.join(folder, "test_batch"))
