"""Arrays in memory, alone or nested in lists and dicts, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kcore import tree
from kcore._core import Batches, has_spare_cpu
from kcore.autograd import Tensor
from kcore.autograd.config import floatx
from kcore.autograd.dtype import DTYPES, holds_numbers, numpy_dtype, standardize_dtype
from kcore.autograd.recorder import Arguments, kind_of
from kcore.models.trainer.data.batch import as_array, class_weights_to_sample_weights, describe, is_array

# Bytes of a batch from which on a thread gathers the next one while a step runs, if a CPU is idle then.
_WORTH_A_THREAD = 1 << 20


def can_read(x: Any) -> bool:
    """Whether `x` is an array or a nest of arrays."""
    leaves = tree.flatten(x)
    return bool(leaves) and all(leaf is None or is_array(leaf) for leaf in leaves) and any(map(is_array, leaves))


class ArrayData:
    """Batches cut from arrays, in order or shuffled anew in every epoch. The last one may be smaller.

    Args:
        what: name of the caller for errors.
        x, y, sample_weight: arrays (samples, ...), or nests of them.
        batch_size: samples per batch, 32 by default.
        shuffle: True, False, or "batch" to shuffle whole batches only.
        class_weight: weight of each class; makes the sample weights.
    """

    can_restart = True

    def __init__(self, what: str, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None,
                 shuffle: bool | str = False, class_weight: dict[int, float] | None = None):  # fmt: skip
        batch_size = 32 if batch_size is None else batch_size
        if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"[{what}] expected a positive integer as batch_size, received {batch_size!r}")
        if shuffle not in (True, False, "batch", None):
            raise ValueError(f'[{what}] expected shuffle to be True, False or "batch", received {shuffle!r}')
        x, y, sample_weight = (_arrays(what, name, data) for name, data in _named(x, y, sample_weight))
        self.samples = _count_samples(what, x, y, sample_weight)
        if class_weight:
            if sample_weight is not None:
                raise ValueError(f"[{what}] expected either class_weight or sample_weight, received both")
            if y is None:
                raise ValueError(f"[{what}] class_weight expects targets y, received None")
            sample_weight = class_weights_to_sample_weights(y, class_weight)
        self.batch_size = int(batch_size)
        self.num_batches = -(-self.samples // self.batch_size)
        self._shuffle = shuffle
        self._parts = (x, y, sample_weight)
        leaves = tree.flatten(self._parts)
        self._nested = any(map(tree.is_nested, self._parts))
        self._given = [leaf is not None for leaf in leaves]
        self._arrays = [_rows(leaf) for leaf in leaves if leaf is not None]
        self._bytes = sum(x[: self.batch_size].nbytes for x in self._arrays)
        self._starts = np.arange(0, self.samples, self.batch_size)
        self._kinds: dict[int, Any] = {}

    def on_epoch_begin(self) -> None:
        """Nothing to do."""

    def on_epoch_end(self) -> None:
        """Nothing to do."""

    @property
    def targets(self) -> Any:
        """All of y."""
        return self._parts[1]

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        starts = self._starts
        order = None
        if self._shuffle == "batch":
            starts = starts[np.random.permutation(len(starts))]
        elif self._shuffle:
            order = np.random.permutation(self.samples)
        ahead = self._bytes >= _WORTH_A_THREAD and self.num_batches > 1 and has_spare_cpu()
        return map(self._batch, Batches(self._arrays, floatx() == "float32", self.batch_size, starts, order, ahead))

    def _batch(self, arrays: list) -> Arguments:
        tensors = iter(arrays)
        leaves = [Tensor(next(tensors)) if given else None for given in self._given]
        if self._nested:
            leaves = tree.pack_sequence_as(self._parts, leaves)
        size = arrays[0].shape[0]
        kind = self._kinds.get(size)
        if kind is None:
            kind = self._kinds[size] = kind_of((tuple(leaves),))
        return Arguments(leaves, kind, arrays)


def train_validation_split(what: str, x: Any, y: Any, sample_weight: Any, split: float) -> tuple[tuple, tuple]:
    """The first samples for training, the last `split` of them for validation; nothing is shuffled before."""
    if not isinstance(split, (int, float)) or not 0 < split < 1:
        raise ValueError(f"[{what}] expected validation_split in (0, 1), received {split!r}")
    for name, data in _named(x, y, sample_weight):
        if data is not None and not can_read(data):
            raise ValueError(f"[{what}] validation_split expects arrays, received {name} of type {type(data).__name__}")
    parts = [_arrays(what, name, data) for name, data in _named(x, y, sample_weight)]
    samples = _count_samples(what, *parts)
    at = int(np.floor(samples * (1.0 - split)))
    if at == 0 or at == samples:
        raise ValueError(
            f"[{what}] expected enough samples for validation_split={split}, received {samples}: one part would be empty"
        )
    return tuple(_take(part, slice(0, at)) for part in parts), tuple(_take(part, slice(at, samples)) for part in parts)


def _named(x: Any, y: Any, sample_weight: Any) -> tuple:
    return (("x", x), ("y", y), ("sample_weight", sample_weight))


def _arrays(what: str, name: str, data: Any) -> Any:
    """`data` with NumPy arrays as leaves; floats in the default float, or in float64 where that is float32."""
    if data is None:
        return None
    if not can_read(data):
        hint = "; convert nested lists of numbers with numpy.array" if isinstance(data, (list, tuple)) else ""
        raise ValueError(f"[{what}] expected {name} to be an array or a nest of arrays, received "
                         f"{_short(data)} of type {type(data).__name__}{hint}")  # fmt: skip
    return tree.map_structure(lambda leaf: None if leaf is None else _array(what, name, leaf), data)


def _array(what: str, name: str, x: Any) -> Any:
    x = as_array(x)
    if x.dtype == np.float64 and floatx() == "float32":
        return x  # converted batch by batch
    if x.dtype.kind == "f":
        return x.astype(numpy_dtype(floatx()), copy=False)
    if x.dtype.kind == "O":
        try:
            return x.astype(numpy_dtype(floatx()))
        except (TypeError, ValueError):
            pass
    if not holds_numbers(x.dtype):
        raise ValueError(f"[{what}] expected {name} to hold numbers, received an array of dtype {x.dtype}")
    return x


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 80 else text[:77] + "..."


def _count_samples(what: str, x: Any, y: Any, sample_weight: Any) -> int:
    sizes: dict[str, list[int]] = {}
    for name, data in _named(x, y, sample_weight):
        for leaf in tree.flatten(data):
            if leaf is None:
                continue
            if len(leaf.shape) == 0:
                raise ValueError(f"[{what}] expected {name} to have an axis of samples, received a scalar")
            sizes.setdefault(name, []).append(int(leaf.shape[0]))
    counts = {size for values in sizes.values() for size in values}
    if len(counts) > 1:
        received = ", ".join(f"{name} with {' and '.join(map(str, values))}" for name, values in sizes.items())
        raise ValueError(f"[{what}] expected the same number of samples in all arrays, received {received}")
    if counts == {0}:
        raise ValueError(f"[{what}] expected at least one sample, received x of shape {describe(x)}")
    return counts.pop()


# In this machine's order of bytes.
_READ = frozenset(map(np.dtype, (*DTYPES[:5], "int8", "int16", "uint16", "uint64", "float32", "float64")))


def _rows(x: np.ndarray) -> np.ndarray:
    """`x` as `Batches` can read it: of a dtype that it knows, the numbers of a row one after the other."""
    if x.dtype not in _READ and x.dtype.name not in DTYPES:
        x = x.astype(standardize_dtype(x.dtype.name))
    elif not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    return x if x.flags.c_contiguous or x[0].flags.c_contiguous else np.ascontiguousarray(x)


def _take(part: Any, rows: slice) -> Any:
    return tree.map_structure(lambda leaf: None if leaf is None else leaf[rows], part)
