"""Well-known data sets: downloaded once, checked against their hash, and read without running anything in them.

Receives archives through `utils.get_file`; hands out NumPy arrays `(x_train, y_train), (x_test, y_test)`.
`load_data(path)` also takes the URL or local path of such an archive.
"""

from kcore.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]
