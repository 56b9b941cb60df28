"""CIFAR-100: 60,000 colour pictures, 32 x 32, in 100 fine or 20 coarse classes."""

from __future__ import annotations

import os

from kcore.datasets import cifar
from kcore.datasets.splits import Arrays
from kcore.saving.names import nearest

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine", path: str | os.PathLike | None = None) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), labels uint8 (N, 1).

    Args:
        label_mode: `"fine"` for 100 classes, `"coarse"` for 20.
        path: None for the cache, or the URL or local path of the archive, or a folder with its batches.

    Raises:
        ValueError: another label mode.
        ConnectionError: the archive is not in the cache and cannot be downloaded.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html
    """
    if label_mode not in ("fine", "coarse"):
        hint = nearest(label_mode, ("fine", "coarse"))
        raise ValueError(f"[load_data] expected label_mode 'fine' or 'coarse', received {label_mode!r}{hint}")
    folder = cifar.folder(path, "cifar-100-python-target", "cifar-100-python", _ORIGIN, _HASH)
    train, test = (cifar.load_batch(os.path.join(folder, part), f"{label_mode}_labels") for part in ("train", "test"))
    return train, test
