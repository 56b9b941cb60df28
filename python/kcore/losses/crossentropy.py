"""Cross-entropies and their focal and generalized kin, and the Kullback-Leibler divergence."""

from __future__ import annotations

from typing import ClassVar

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import epsilon
from kcore.losses.loss import LossFunctionWrapper, as_pair, squeeze_or_expand_to_same_rank


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1) -> Tensor:
    """Mean over `axis` of -y_true log(p) - (1 - y_true) log(1 - p).

    Args:
        y_true: 0 or 1, (..., n).
        y_pred: probabilities p, or logits with `from_logits`, (..., n).
        label_smoothing: in [0, 1]; moves the labels towards 1/2.

    >>> round(float(binary_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.6931
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
) -> Tensor:
    """Binary cross-entropy times (1 - probability of the true class)^gamma (https://arxiv.org/abs/1708.02002).

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: as for `binary_crossentropy`.
        apply_class_balancing: weight class 1 by `alpha` and class 0 by 1 - alpha.
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    entropy = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    not_true = 1.0 - _mixed(y_true, y_pred, 1.0 - y_pred)
    focal = not_true**gamma * entropy
    if apply_class_balancing:
        focal = _mixed(y_true, alpha, 1 - alpha) * focal
    return ops.mean(focal, axis=axis)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1) -> Tensor:
    """-sum of y_true log(p) over the classes.

    Args:
        y_true: probabilities of the classes, often one-hot, (..., classes).
        y_pred: probabilities p, which are normalized to sum 1, or logits with `from_logits`, (..., classes).
        label_smoothing: in [0, 1]; moves the labels towards 1/classes.
        axis: the axis of the classes.
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    if label_smoothing:
        y_true = _smoothed(y_true, label_smoothing, y_true.shape[axis])
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
) -> Tensor:
    """-sum of alpha (1 - p)^gamma y_true log(p) over the classes (https://arxiv.org/abs/1708.02002)."""
    y_true, y_pred = as_pair(y_true, y_pred)
    if label_smoothing:
        y_true = _smoothed(y_true, label_smoothing, y_true.shape[axis])
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    p = ops.clip(p, epsilon(), 1 - epsilon())
    return -ops.sum(alpha * (1.0 - p) ** gamma * y_true * ops.log(p), axis=axis)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1) -> Tensor:
    """-log(p of the true class).

    Args:
        y_true: index of the true class, (...) or (..., 1).
        y_pred: probabilities p, which are normalized to sum 1, or logits with `from_logits`, (..., classes).
        ignore_class: samples with this label get loss 0 and do not count in a mean.
        axis: the axis of the classes.

    >>> round(float(sparse_categorical_crossentropy(1, [0.25, 0.75])), 4)
    0.2877
    """
    y_true, y_pred = convert_to_tensor(y_true), as_pair(0, y_pred)[1]
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    counts = ops.not_equal(y_true, ops.cast(ignore_class, y_true.dtype))
    y_true = ops.where(counts, y_true, 0)
    values = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    values = ops.where(counts, values, 0.0)
    values.keras_mask = counts
    return values


def categorical_generalized_cross_entropy(y_true, y_pred, q) -> Tensor:
    """(1 - p^q) / q, p of the true class: robust to wrong labels (https://arxiv.org/abs/1805.07836).

    Args:
        y_true: index of the true class, (...) or (..., 1).
        y_pred: probabilities, (..., classes).
        q: in (0, 1): towards 0 it becomes the cross-entropy, at 1 the absolute error.
    """
    y_true, y_pred = convert_to_tensor(y_true), as_pair(0, y_pred)[1]
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    chosen = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    p = ops.sum(chosen * ops.clip(y_pred, epsilon(), 1 - epsilon()), axis=-1)
    return (1.0 - p**q) / q


def kl_divergence(y_true, y_pred) -> Tensor:
    """Sum of y_true log(y_true / y_pred) over the last axis. Probabilities (..., classes) -> (...)."""
    y_true, y_pred = squeeze_or_expand_to_same_rank(*as_pair(y_true, y_pred))
    y_true, y_pred = (ops.clip(y, epsilon(), 1) for y in (y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def _smoothed(y_true: Tensor, label_smoothing: float, classes: int) -> Tensor:
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes


def _mixed(y_true: Tensor, if_one, if_zero) -> Tensor:
    return y_true * if_one + (1.0 - y_true) * if_zero


class BinaryCrossentropy(LossFunctionWrapper):
    """-y_true log(p) - (1 - y_true) log(1 - p), mean over `axis`; see `binary_crossentropy`."""

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        super().__init__(
            binary_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Binary cross-entropy that counts easy samples less; see `binary_focal_crossentropy`."""

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(
            binary_focal_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
        )


class CategoricalCrossentropy(LossFunctionWrapper):
    """-sum of y_true log(p) over the classes, labels one-hot; see `categorical_crossentropy`."""

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(
            categorical_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """Categorical cross-entropy that counts easy samples less; see `categorical_focal_crossentropy`."""

    def __init__(
        self,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(
            categorical_focal_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            alpha=alpha,
            gamma=gamma,
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """-log(p of the true class), labels as integers; see `sparse_categorical_crossentropy`.

    >>> loss = SparseCategoricalCrossentropy(from_logits=True)
    >>> round(float(loss([0, 1], [[2.0, 0.0], [0.0, 2.0]])), 4)
    0.1269
    """

    _unwritten: ClassVar[dict] = {"axis": -1}

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(
            sparse_categorical_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """(1 - p^q) / q, p of the true class; see `categorical_generalized_cross_entropy`."""

    def __init__(
        self, q=0.5, reduction="sum_over_batch_size", name="categorical_generalized_cross_entropy", dtype=None
    ):
        if not 0 < q < 1:
            raise ValueError(f"[{name}] expected q in (0, 1), received {q!r}")
        super().__init__(categorical_generalized_cross_entropy, reduction=reduction, name=name, dtype=dtype, q=q)


class KLDivergence(LossFunctionWrapper):
    """Sum of y_true log(y_true / y_pred) over the last axis."""

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        super().__init__(kl_divergence, reduction=reduction, name=name, dtype=dtype)
