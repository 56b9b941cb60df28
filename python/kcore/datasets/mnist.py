"""MNIST: 70,000 handwritten digits, 28 x 28 grey."""

from __future__ import annotations

import os

from kcore.datasets.archives import STORAGE, fetch, load_npz
from kcore.datasets.splits import Arrays

_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str | os.PathLike = "mnist.npz") -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (60000, 28, 28) and (10000, 28, 28), labels uint8 0 ... 9.

    Args:
        path: name in the cache, or the URL or local path of the archive.

    Raises:
        ConnectionError: the archive is not in the cache and cannot be downloaded.

    Source: Y. LeCun, C. Cortes, C. Burges, http://yann.lecun.com/exdb/mnist/ (CC BY-SA 3.0).
    """
    file = fetch(path, f"{STORAGE}mnist.npz", _HASH)
    x_train, y_train, x_test, y_test = load_npz(file, "x_train", "y_train", "x_test", "y_test")
    return (x_train, y_train), (x_test, y_test)
