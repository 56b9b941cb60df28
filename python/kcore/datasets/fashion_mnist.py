"""Fashion-MNIST: 70,000 pictures of clothes, 28 x 28 grey, in ten classes."""

from __future__ import annotations

import gzip
import os
import zlib

import numpy as np

from kcore.datasets.archives import STORAGE, fetch
from kcore.datasets.splits import Arrays

# MD5 as published by the authors, https://github.com/zalandoresearch/fashion-mnist
_FILES = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def load_data(path: str | os.PathLike | None = None) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (60000, 28, 28) and (10000, 28, 28), labels uint8 0 ... 9.

    The labels: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot.

    Args:
        path: a folder with the four `.gz` files, or None for the cache.

    Raises:
        ConnectionError: a file is not in the cache and cannot be downloaded.

    Source: H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747 (MIT license).
    """
    arrays = []
    for name, md5 in _FILES.items():
        if path is not None:
            file = os.path.join(os.path.expanduser(os.fspath(path)), name)
        else:
            file = fetch(name, STORAGE + name, md5, cache_subdir=os.path.join("datasets", "fashion-mnist"))
        arrays.append(_read_idx(file))
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)


def _read_idx(path: str) -> np.ndarray:
    """The idx format: two zero bytes, type 8 (uint8), rank, sizes as big-endian int32, data."""
    try:
        with gzip.open(path, "rb") as file:
            data = file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise ValueError(
            f"[load_data] expected a whole gzip file at {path}, received one that cannot be read ({e})"
        ) from e
    rank = data[3] if len(data) > 3 else 0
    shape = np.frombuffer(data, ">i4", rank, 4) if data[:3] == b"\0\0\x08" and len(data) >= 4 + 4 * rank else []
    if not len(shape) or len(data) != 4 + 4 * rank + int(np.prod(shape, dtype="int64")):
        raise ValueError(f"[load_data] expected an idx file of uint8 at {path}, received something else")
    return np.frombuffer(data, "uint8", offset=4 + 4 * rank).reshape(shape).copy()
