"""PyDataset: batches by number, loaded ahead by threads or processes if wanted."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np


class PyDataset:
    """Base of data sets that load a batch by its number; `fit`, `evaluate` and `predict` take it.

    A subclass defines `__len__` (the number of batches) and `__getitem__(index)` (a batch: x, (x, y) or
    (x, y, sample_weight)), and may define `on_epoch_begin` and `on_epoch_end`.

    Args:
        workers: batches loaded at the same time.
        use_multiprocessing: load in processes instead of threads.
        max_queue_size: batches kept ready at most.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Batch number `index`."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a `__getitem__(index)` method, found none")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, None for no end."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"[{type(self).__name__}] expected a `__len__()` method, found none")
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


class PyDatasetData:
    """Reads a PyDataset; `shuffle` draws another order of batches in every epoch."""

    def __init__(self, what: str, dataset: PyDataset, shuffle: bool = False):
        self._dataset = dataset
        self._shuffle = shuffle
        self.batch_size = None
        self.num_batches = dataset.num_batches
        if self.num_batches is not None and self.num_batches < 1:
            raise ValueError(f"[{what}] expected at least one batch, received a {type(dataset).__name__} of length 0")
        if not hasattr(dataset, "workers"):
            warnings.warn(f"{type(dataset).__name__} did not call `super().__init__(**kwargs)`", stacklevel=4)
            PyDataset.__init__(dataset)

    def on_epoch_begin(self) -> None:
        """Tells the data set."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the data set."""
        self._dataset.on_epoch_end()

    def __iter__(self) -> Iterator[Any]:
        if self.num_batches is None:
            indices: Iterator[int] = iter(range(1 << 62))
        else:
            indices = iter(
                np.random.permutation(self.num_batches).tolist() if self._shuffle else range(self.num_batches)
            )
        if self._dataset.workers <= 1 and not self._dataset.use_multiprocessing:
            yield from map(self._dataset.__getitem__, indices)
        else:
            yield from self._ahead(indices)

    def _ahead(self, indices: Iterator[int]) -> Iterator[Any]:
        dataset = self._dataset
        workers = max(dataset.workers, 1)
        if dataset.use_multiprocessing:
            start = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
            pool: Any = concurrent.futures.ProcessPoolExecutor(
                workers, multiprocessing.get_context(start), _set_dataset, (dataset,)
            )
            load: Any = _load
        else:
            pool, load = concurrent.futures.ThreadPoolExecutor(workers), dataset.__getitem__
        try:
            pending: deque = deque()
            for index in indices:
                pending.append(pool.submit(load, index))
                if len(pending) >= max(dataset.max_queue_size, workers):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker_dataset: PyDataset | None = None  # the one data set of a worker process


def _set_dataset(dataset: PyDataset) -> None:
    global _worker_dataset
    _worker_dataset = dataset


def _load(index: int) -> Any:
    return _worker_dataset[index]
