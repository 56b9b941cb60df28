"""Losses that ask for a margin between right and wrong: the hinges and the circle loss."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.losses.loss import LossFunctionWrapper, as_pair


def hinge(y_true, y_pred) -> Tensor:
    """Mean of max(1 - y_true y_pred, 0) over the last axis. Labels -1 and 1, or 0 and 1. (..., n) -> (...)."""
    return ops.mean(_violation(y_true, y_pred), axis=-1)


def squared_hinge(y_true, y_pred) -> Tensor:
    """Mean of max(1 - y_true y_pred, 0)^2 over the last axis. Labels -1 and 1, or 0 and 1. (..., n) -> (...)."""
    return ops.mean(ops.square(_violation(y_true, y_pred)), axis=-1)


def categorical_hinge(y_true, y_pred) -> Tensor:
    """max(best score of a wrong class - score of the right one + 1, 0). One-hot (..., classes), scores -> (...)."""
    y_true, y_pred = as_pair(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.relu(wrong - right + 1.0)


def circle(y_true, y_pred, ref_labels=None, ref_embeddings=None, remove_diagonal=True, gamma=80, margin=0.4) -> Tensor:
    """Circle loss between pairs of embeddings (Sun et al., https://arxiv.org/abs/2002.10857).

    Args:
        y_true: integer labels, (batch,) or (batch, 1).
        y_pred: embeddings of Euclidean norm 1, (batch, n).
        ref_labels, ref_embeddings: what to pair them with; by default they are paired with one another.
        remove_diagonal: leave out pairs of a sample with itself.
        gamma: scale. margin: how much a pair must be nearer, or farther, than indifferent.

    Returns:
        (batch,). Samples without both a similar and a dissimilar partner are masked.
    """
    y_pred = convert_to_tensor(y_pred)
    labels = ops.reshape(convert_to_tensor(y_true), (-1,))
    other_labels = labels if ref_labels is None else ops.reshape(convert_to_tensor(ref_labels), (-1,))
    others = y_pred if ref_embeddings is None else convert_to_tensor(ref_embeddings)
    similarity = ops.matmul(y_pred, ops.transpose(others))  # (batch, others)

    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(other_labels, 0))
    different = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(same, ops.logical_not(ops.eye(*similarity.shape, dtype="bool")))

    def log_sum(pairs, exponents):  # over the pairs of each sample
        return ops.logsumexp(ops.where(pairs, exponents, -1e9), axis=1)

    pull = ops.relu(1 + margin - similarity)
    push = ops.relu(similarity + margin)
    near = log_sum(same, pull * (similarity - (1 - margin)) * -gamma)
    far = log_sum(different, push * (similarity - margin) * gamma)
    values = ops.softplus(near + far)
    values.keras_mask = ops.logical_and(ops.any(same, axis=1), ops.any(different, axis=1))
    return values


def _violation(y_true, y_pred) -> Tensor:
    y_true, y_pred = as_pair(y_true, y_pred)
    only_zero_and_one = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    y_true = ops.where(only_zero_and_one, y_true * 2.0 - 1.0, y_true)
    return ops.relu(1.0 - y_true * y_pred)


class Hinge(LossFunctionWrapper):
    """Mean of max(1 - y_true y_pred, 0), labels -1 and 1 (or 0 and 1)."""

    def __init__(self, reduction="sum_over_batch_size", name="hinge", dtype=None):
        super().__init__(hinge, reduction=reduction, name=name, dtype=dtype)


class SquaredHinge(LossFunctionWrapper):
    """Mean of max(1 - y_true y_pred, 0)^2, labels -1 and 1 (or 0 and 1)."""

    def __init__(self, reduction="sum_over_batch_size", name="squared_hinge", dtype=None):
        super().__init__(squared_hinge, reduction=reduction, name=name, dtype=dtype)


class CategoricalHinge(LossFunctionWrapper):
    """max(best score of a wrong class - score of the right one + 1, 0), labels one-hot."""

    def __init__(self, reduction="sum_over_batch_size", name="categorical_hinge", dtype=None):
        super().__init__(categorical_hinge, reduction=reduction, name=name, dtype=dtype)


class Circle(LossFunctionWrapper):
    """Circle loss between the embeddings of a batch; see `circle`. y_pred is normalized here."""

    def __init__(
        self,
        gamma=80.0,
        margin=0.4,
        remove_diagonal=True,
        reduction="sum_over_batch_size",
        name="circle",
        dtype=None,
    ):
        super().__init__(
            circle,
            reduction=reduction,
            name=name,
            dtype=dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )
