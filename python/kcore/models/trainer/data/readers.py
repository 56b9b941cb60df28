"""Readers of generators and of data sets that are iterated, and the choice among all readers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from kcore import tree
from kcore.models.trainer.data.arrays import ArrayData, can_read
from kcore.models.trainer.data.batch import class_weights_to_sample_weights, to_tensors, unpack_x_y_sample_weight
from kcore.models.trainer.data.py_dataset import PyDataset, PyDatasetData


class GeneratorData:
    """Reads a Python generator (or another iterator), which cannot be started again."""

    batch_size = None
    num_batches = None

    def __init__(self, generator: Iterator[Any]):
        self._generator = generator

    def on_epoch_begin(self) -> None:
        """Nothing to do."""

    def on_epoch_end(self) -> None:
        """Nothing to do."""

    def __iter__(self) -> Iterator[Any]:
        return self._generator


class IterableData:
    """Reads what gives batches whenever it is iterated: our data sets, torch DataLoaders, lists of batches."""

    batch_size = None

    def __init__(self, what: str, dataset: Any):
        self._dataset = dataset
        try:
            self.num_batches = len(dataset)
        except (TypeError, NotImplementedError):
            self.num_batches = None
        if self.num_batches == 0:
            raise ValueError(f"[{what}] expected at least one batch, received a {type(dataset).__name__} of length 0")

    def on_epoch_begin(self) -> None:
        """Nothing to do."""

    def on_epoch_end(self) -> None:
        """Nothing to do."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dataset)


class Batched:
    """Another reader's batches as tensors: (x, y, sample_weight), weighted by class where wanted."""

    def __init__(self, what: str, reader: Any, class_weight: dict[int, float] | None):
        self._what = what
        self._reader = reader
        self._class_weight = class_weight
        self.batch_size = reader.batch_size
        self.num_batches = reader.num_batches
        self.on_epoch_begin = reader.on_epoch_begin
        self.on_epoch_end = reader.on_epoch_end

    @property
    def can_restart(self) -> bool:
        """Whether a second epoch gives batches again."""
        return not isinstance(self._reader, GeneratorData)

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        for data in self._reader:
            if not isinstance(data, (tuple, list)) and not can_read(data):
                raise ValueError(f"[{self._what}] expected batches of arrays (x, y), received {type(data).__name__}")
            x, y, sample_weight = to_tensors(unpack_x_y_sample_weight(data))
            for leaf in tree.flatten(x):
                if leaf is not None and (len(leaf.shape) == 0 or leaf.shape[0] == 0):
                    raise ValueError(
                        f"[{self._what}] expected batches with samples, received an array of shape {tuple(leaf.shape)}"
                    )
            if self._class_weight:
                if sample_weight is not None:
                    raise ValueError(f"[{self._what}] expected either class_weight or sample weights, received both")
                if y is None:
                    raise ValueError(f"[{self._what}] class_weight expects batches with targets, received x alone")
                sample_weight = to_tensors(class_weights_to_sample_weights(y, self._class_weight))
            yield x, y, sample_weight


def make_data(what: str, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None,
              shuffle: bool | str = False, class_weight: dict[int, float] | None = None) -> Any:  # fmt: skip
    """The reader for `x`; it has `num_batches` (None if unknown), and iterating it gives an epoch of batches.

    Raises:
        ValueError: no reader takes `x`, or another argument does not go with it.
    """
    if x is None:
        raise ValueError(f"[{what}] expected data as x, received None")
    if can_read(x):
        return ArrayData(what, x, y, sample_weight, batch_size, shuffle, class_weight)
    if isinstance(x, PyDataset):
        reader: Any = PyDatasetData(what, x, bool(shuffle))
    elif inspect.isgenerator(x) or (hasattr(x, "__next__") and hasattr(x, "__iter__")):
        reader = GeneratorData(x)
    elif hasattr(x, "__iter__") and not isinstance(x, (list, tuple, dict, str, bytes, set)):
        reader = IterableData(what, x)
    else:
        return ArrayData(what, x, y, sample_weight, batch_size)  # raises: says what is wrong with x
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"[{what}] expected no {name} beside a {type(x).__name__}: its batches hold the targets and weights"
            )
    return Batched(what, reader, class_weight)
