"""How often predictions are right."""

from __future__ import annotations

from typing import ClassVar

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import floatx
from kcore.losses.loss import squeeze_or_expand_to_same_rank
from kcore.metrics.reduction import MeanMetricWrapper


def accuracy(y_true, y_pred) -> Tensor:
    """1 where y_pred equals y_true, else 0. (...), (...) -> (...)."""
    y_pred = convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(convert_to_tensor(y_true, dtype=y_pred.dtype), y_pred)
    return ops.cast(ops.equal(y_true, y_pred), floatx())


def binary_accuracy(y_true, y_pred, threshold=0.5) -> Tensor:
    """1 where (y_pred > threshold) is y_true, else 0. (...), (...) -> (...).

    >>> binary_accuracy([1, 0, 0], [0.9, 0.6, 0.5]).numpy().tolist()
    [1.0, 0.0, 1.0]
    """
    y_true, y_pred = squeeze_or_expand_to_same_rank(convert_to_tensor(y_true), convert_to_tensor(y_pred))
    return ops.cast(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), y_true.dtype)), floatx())


def categorical_accuracy(y_true, y_pred) -> Tensor:
    """1 where the largest of y_pred stands where the largest of y_true does. (..., classes), same -> (...)."""
    return sparse_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred)


def sparse_categorical_accuracy(y_true, y_pred) -> Tensor:
    """1 where the largest of y_pred (..., classes) stands at index y_true, (...) or (..., 1); else 0. -> (...)."""
    y_true, y_pred = _labels_and_scores(y_true, y_pred)
    best = ops.argmax(y_pred, axis=-1)
    return ops.cast(ops.equal(y_true, ops.cast(best, y_true.dtype)), floatx())


def top_k_categorical_accuracy(y_true, y_pred, k=5) -> Tensor:
    """1 where the class of the largest y_true is among the k largest of y_pred. (..., classes), same -> (...)."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k=k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False) -> Tensor:
    """1 where y_true is among the k best classes, else 0.

    Args:
        y_true: index of the true class, (...) or (..., 1).
        y_pred: scores (..., classes), or with `from_sorted_ids` the classes themselves, best first.
        k: how many count. All that are as good as the k-th do.

    >>> sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=2).numpy().tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = _labels_and_scores(y_true, y_pred)
    if not y_pred.ndim or y_true.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"[top_k_accuracy] expected y_true of shape {y_pred.shape[:-1]} for y_pred of shape {y_pred.shape}, "
            f"received {y_true.shape}"
        )
    if from_sorted_ids:
        ids = ops.cast(y_pred[..., :k], y_true.dtype)
        return ops.cast(ops.any(ops.equal(ids, ops.expand_dims(y_true, -1)), axis=-1), floatx())
    found = ops.in_top_k(ops.reshape(y_true, (-1,)), ops.reshape(y_pred, (-1, y_pred.shape[-1])), k)
    return ops.cast(ops.reshape(found, y_true.shape), floatx())


def _labels_and_scores(y_true, y_pred) -> tuple[Tensor, Tensor]:
    y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return y_true, y_pred


class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true.

    >>> float(Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    _direction = "up"

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(accuracy, name=name, dtype=dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often (y_pred > threshold) is y_true."""

    _direction = "up"

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(f"[{name}] expected a threshold in (0, 1), received {threshold!r}")
        super().__init__(binary_accuracy, name=name, dtype=dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score stands where the one-hot label does."""

    _direction = "up"

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name=name, dtype=dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score stands at the index that is the label."""

    _direction = "up"

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name=name, dtype=dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of the one-hot label is among the k best."""

    _direction = "up"

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, name=name, dtype=dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label is among the k best classes."""

    _direction = "up"
    _unwritten: ClassVar[dict] = {"from_sorted_ids": False}

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        super().__init__(
            sparse_top_k_categorical_accuracy, name=name, dtype=dtype, k=k, from_sorted_ids=from_sorted_ids
        )
