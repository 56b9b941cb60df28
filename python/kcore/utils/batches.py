"""Batches: a data set that makes each batch when it is asked for, reshuffles every epoch, and cuts into parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


class Batches:
    """A data set that `fit`, `evaluate` and `predict` take: `len()` batches, each made when it is asked for.

    Args:
        load: function from an array of sample numbers to a batch (an array, or a tuple such as `(x, y)`).
        samples: how many samples there are.
        batch_size: samples per batch; None gives single samples without a batch axis.
        shuffle: visit the samples in another order in every epoch.
        seed: seed of that order.

    Iterating gives the batches of one epoch. `take`, `map` and `cache` make new data sets.

    >>> data = Batches(lambda i: i * 10, samples=3, batch_size=2)
    >>> [batch.tolist() for batch in data]
    [[0, 10], [20]]
    """

    def __init__(
        self,
        load: Callable[[np.ndarray], Any],
        samples: int,
        batch_size: int | None = 32,
        shuffle: bool = False,
        seed: int | None = None,
    ):
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"[Batches] expected a positive batch_size or None, received {batch_size!r}")
        self._load = load
        self._samples = samples
        self.batch_size = batch_size
        self._rng = np.random.default_rng(seed) if shuffle else None
        self._order = np.arange(samples)
        self.class_names: list[str] | None = None
        self.file_paths: list[str] | None = None
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-self._samples // (self.batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"[Batches] expected a batch number in 0 ... {len(self) - 1}, received {index}")
        size = self.batch_size or 1
        batch = self._load(self._order[index * size : (index + 1) * size])
        if self.batch_size is not None:
            return batch
        return tuple(part[0] for part in batch) if isinstance(batch, tuple) else batch[0]

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Draws a new order if the data set shuffles."""
        if self._rng is not None:
            self._rng.shuffle(self._order)

    def take(self, count: int) -> Batches:
        """The first `count` batches."""
        return _Derived(self, lambda batch: batch, min(count, len(self)))

    def map(self, function: Callable[..., Any]) -> Batches:
        """Every batch passed through a function, which gets the parts of a tuple as its arguments."""
        return _Derived(
            self, lambda batch: function(*batch) if isinstance(batch, tuple) else function(batch), len(self)
        )

    def cache(self) -> Batches:
        """The same batches, kept in memory once they were made. Their order is then that of the first epoch."""
        return _Cached(self)


class _Derived(Batches):
    """Batches made from those of another data set."""

    def __init__(self, source: Batches, function: Callable[[Any], Any], count: int):
        super().__init__(lambda i: i, samples=count, batch_size=1)
        self._source, self._function = source, function
        self.class_names, self.file_paths = source.class_names, source.file_paths

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"[Batches] expected a batch number in 0 ... {len(self) - 1}, received {index}")
        return self._function(self._source[index])

    def on_epoch_end(self) -> None:
        if hasattr(self, "_source"):
            self._source.on_epoch_end()


class _Cached(_Derived):
    def __init__(self, source: Batches):
        self._kept: dict[int, Any] = {}
        super().__init__(source, lambda batch: batch, len(source))

    def __getitem__(self, index: int) -> Any:
        if index not in self._kept:
            self._kept[index] = super().__getitem__(index)
        return self._kept[index]

    def on_epoch_end(self) -> None:
        """Nothing: what is kept keeps its order."""


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> Batches:
    """Sliding windows over a series, with one target per window.

    Args:
        data: array (time, ...).
        targets: array whose item `i` belongs to the window that starts at step `i`; None gives windows only.
        sequence_length: steps per window.
        sequence_stride: distance between the starts of windows.
        sampling_rate: distance between the steps of a window.
        batch_size: windows per batch, or None for single windows.
        shuffle: visit the windows in another order in every epoch.
        seed: seed of that order.
        start_index: first step used.
        end_index: step before which to stop.

    Raises:
        ValueError: a number out of range.

    >>> windows = timeseries_dataset_from_array([0, 1, 2, 3], None, sequence_length=3)
    >>> windows[0].tolist()
    [[0, 1, 2], [1, 2, 3]]
    """
    data = np.asarray(data)
    counts = {"sequence_length": sequence_length, "sequence_stride": sequence_stride, "sampling_rate": sampling_rate}
    for name, value in counts.items():
        if not 1 <= value <= len(data):
            raise ValueError(f"[timeseries_dataset_from_array] expected {name} in 1 ... {len(data)}, received {value}")
    start, end = start_index or 0, len(data) if end_index is None else end_index
    if not 0 <= start < end <= len(data):
        raise ValueError(
            f"[timeseries_dataset_from_array] expected 0 <= start_index < end_index <= {len(data)}, "
            f"received {start} and {end}"
        )
    windows = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = np.asarray(targets)
        windows = min(windows, len(targets) - start)
    starts = np.arange(0, max(windows, 0), sequence_stride)
    steps = np.arange(sequence_length) * sampling_rate
    series = data[start:end]

    def load(numbers: np.ndarray) -> Any:
        first = starts[numbers]
        x = series[first[:, None] + steps]
        return x if targets is None else (x, targets[start + first])

    return Batches(load, len(starts), batch_size, shuffle, seed)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Batches, Batches]:
    """Cuts arrays, or a list of samples, into two data sets of single samples.

    Args:
        dataset: an array, a tuple or list of arrays of one length, or a list of samples.
        left_size: samples of the first part: a count, or a fraction if it is a float. Default: the rest.
        right_size: the same for the second part.
        shuffle: shuffle before cutting.
        seed: seed of the shuffle.

    Raises:
        ValueError: sizes that do not fit.

    >>> left, right = split_dataset(np.arange(4), left_size=0.75)
    >>> len(left), len(right)
    (3, 1)
    """
    is_table = isinstance(dataset, (tuple, list)) and len(dataset) and all(isinstance(d, np.ndarray) for d in dataset)
    columns = [np.asarray(d) for d in dataset] if is_table else [np.asarray(dataset)]
    total = len(columns[0])
    if any(len(c) != total for c in columns):
        raise ValueError(f"[split_dataset] expected arrays of one length, received {[len(c) for c in columns]}")
    left, right = _sizes(total, left_size, right_size)
    order = np.arange(total)
    if shuffle:
        np.random.default_rng(seed).shuffle(order)

    def part(rows: np.ndarray) -> Batches:
        def load(numbers: np.ndarray) -> Any:
            picked = tuple(c[rows[numbers]] for c in columns)
            return picked if is_table else picked[0]

        return Batches(load, len(rows), batch_size=None)

    return part(order[:left]), part(order[total - right :])


def _sizes(total: int, left: float | None, right: float | None) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("[split_dataset] expected left_size or right_size, received neither")
    sizes: list[int | None] = []
    for size in (left, right):
        if size is not None and not (0 < size < 1 if isinstance(size, float) else 0 < size <= total):
            raise ValueError(f"[split_dataset] expected sizes in (0, 1) or 1 ... {total}, received {left} and {right}")
        sizes.append(None if size is None else round(size * total) if isinstance(size, float) else int(size))
    first, second = sizes
    first = total - second if first is None else first  # type: ignore[operator]
    second = total - first if second is None else second
    if first + second > total or not first or not second:
        raise ValueError(f"[split_dataset] expected sizes that fit into {total} samples, received {left} and {right}")
    return first, second


def labels_as(labels: Sequence[int] | np.ndarray, mode: str, classes: int) -> np.ndarray:
    """Integer labels as `"int"` (N,) int32, `"binary"` (N, 1) float32 or `"categorical"` (N, classes) float32."""
    labels = np.asarray(labels, "int32")
    if mode == "binary":
        return labels[:, None].astype("float32")
    return np.eye(classes, dtype="float32")[labels] if mode == "categorical" else labels
