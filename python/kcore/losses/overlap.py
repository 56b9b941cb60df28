"""Losses on the overlap of two sets, for segmentation: Dice and Tversky."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor
from kcore.autograd.config import epsilon
from kcore.losses.loss import LossFunctionWrapper, as_pair


def dice(y_true, y_pred, axis=None) -> Tensor:
    """1 - 2 |A B| / (|A| + |B|), sizes summed over `axis` (None: all axes).

    >>> round(float(dice([1.0, 1.0, 0.0], [1.0, 0.0, 0.0])), 4)
    0.3333
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    common = ops.sum(y_true * y_pred, axis=axis)
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1.0 - (common * 2.0 + epsilon()) / (total + epsilon())


def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None) -> Tensor:
    """1 - |A B| / (|A B| + alpha |A - B| + beta |B - A|), A true, B predicted (https://arxiv.org/abs/1706.05721).

    Args:
        y_true, y_pred: memberships in [0, 1], of the same shape.
        alpha: weight of false negatives. beta: weight of false positives. (As Keras computes it; the paper has it the
            other way round.)
        axis: what sizes are summed over; None for all axes.
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    common = ops.sum(y_true * y_pred, axis=axis)
    false_positives = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    false_negatives = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    return 1.0 - common / (common + alpha * false_negatives + beta * false_positives + epsilon())


class Dice(LossFunctionWrapper):
    """1 - 2 |A B| / (|A| + |B|); see `dice`."""

    def __init__(self, reduction="sum_over_batch_size", name="dice", axis=None, dtype=None):
        super().__init__(dice, reduction=reduction, name=name, dtype=dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """1 - |A B| / (|A B| + alpha |A - B| + beta |B - A|); see `tversky`."""

    def __init__(self, alpha=0.5, beta=0.5, reduction="sum_over_batch_size", name="tversky", dtype=None, axis=None):
        super().__init__(tversky, reduction=reduction, name=name, dtype=dtype, alpha=alpha, beta=beta, axis=axis)
