"""Losses between numbers: squared, absolute, percentage, logarithmic, Huber, log-cosh, Poisson, cosine similarity."""

from __future__ import annotations

import math
from typing import ClassVar

from kcore import ops
from kcore.autograd import Tensor
from kcore.autograd.config import epsilon
from kcore.losses.loss import LossFunctionWrapper, as_pair, squeeze_or_expand_to_same_rank


def mean_squared_error(y_true, y_pred) -> Tensor:
    """Mean of (y_true - y_pred)^2 over the last axis. (..., n), (..., n) -> (...).

    >>> float(mean_squared_error([0.0, 1.0], [1.0, 3.0]))
    2.5
    """
    return ops.mean(ops.square(_difference(y_true, y_pred)), axis=-1)


def mean_absolute_error(y_true, y_pred) -> Tensor:
    """Mean of |y_true - y_pred| over the last axis. (..., n), (..., n) -> (...)."""
    return ops.mean(ops.abs(_difference(y_true, y_pred)), axis=-1)


def mean_absolute_percentage_error(y_true, y_pred) -> Tensor:
    """100 times the mean of |(y_true - y_pred) / y_true| over the last axis. (..., n), (..., n) -> (...)."""
    y_true, y_pred = _same_rank(y_true, y_pred)
    relative = (y_true - y_pred) / ops.maximum(ops.abs(y_true), epsilon())
    return ops.mean(ops.abs(relative), axis=-1) * 100.0


def mean_squared_logarithmic_error(y_true, y_pred) -> Tensor:
    """Mean of (log(y_true + 1) - log(y_pred + 1))^2 over the last axis, negatives as 0. (..., n), (..., n) -> (...)."""
    y_true, y_pred = _same_rank(y_true, y_pred)
    log_true, log_pred = (ops.log(ops.maximum(y, epsilon()) + 1.0) for y in (y_true, y_pred))
    return ops.mean(ops.square(log_true - log_pred), axis=-1)


def huber(y_true, y_pred, delta=1.0) -> Tensor:
    """Mean over the last axis of error^2 / 2 up to |error| = delta, linear from there on. (..., n), (..., n) -> (...).

    Huber, https://projecteuclid.org/euclid.aoms/1177703732
    """
    error = _difference(y_true, y_pred)
    size = ops.abs(error)
    linear = size * delta - 0.5 * delta * delta
    return ops.mean(ops.where(size <= delta, ops.square(error) * 0.5, linear), axis=-1)


def log_cosh(y_true, y_pred) -> Tensor:
    """Mean of log(cosh(y_pred - y_true)) over the last axis, which does not overflow. (..., n), (..., n) -> (...)."""
    error = -_difference(y_true, y_pred)
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


def poisson(y_true, y_pred) -> Tensor:
    """Mean of y_pred - y_true log(y_pred) over the last axis. (..., n), (..., n) -> (...)."""
    y_true, y_pred = as_pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


def cosine_similarity(y_true, y_pred, axis=-1) -> Tensor:
    """Minus the cosine of the angle between y_true and y_pred along `axis`: -1 where they agree. (..., n) -> (...)."""
    y_true, y_pred = _same_rank(y_true, y_pred)
    return -ops.sum(ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis), axis=axis)


def _same_rank(y_true, y_pred) -> tuple[Tensor, Tensor]:
    return squeeze_or_expand_to_same_rank(*as_pair(y_true, y_pred))


def _difference(y_true, y_pred) -> Tensor:
    y_true, y_pred = _same_rank(y_true, y_pred)
    return y_true - y_pred


class MeanSquaredError(LossFunctionWrapper):
    """Mean of (y_true - y_pred)^2.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]))
    2.5
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(mean_squared_error, reduction=reduction, name=name, dtype=dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """Mean of |y_true - y_pred|."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(mean_absolute_error, reduction=reduction, name=name, dtype=dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """100 times the mean of |(y_true - y_pred) / y_true|."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        super().__init__(mean_absolute_percentage_error, reduction=reduction, name=name, dtype=dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean of (log(y_true + 1) - log(y_pred + 1))^2."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(mean_squared_logarithmic_error, reduction=reduction, name=name, dtype=dtype)


class Huber(LossFunctionWrapper):
    """Squared error where it is at most `delta`, absolute error beyond."""

    _unwritten: ClassVar[dict] = {"delta": 1.0}

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(huber, reduction=reduction, name=name, dtype=dtype, delta=delta)


class LogCosh(LossFunctionWrapper):
    """Mean of log(cosh(y_pred - y_true))."""

    def __init__(self, reduction="sum_over_batch_size", name="log_cosh", dtype=None):
        super().__init__(log_cosh, reduction=reduction, name=name, dtype=dtype)


class Poisson(LossFunctionWrapper):
    """Mean of y_pred - y_true log(y_pred): minus the log-likelihood of counts y_true at rates y_pred."""

    def __init__(self, reduction="sum_over_batch_size", name="poisson", dtype=None):
        super().__init__(poisson, reduction=reduction, name=name, dtype=dtype)


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between y_true and y_pred along `axis`."""

    _unwritten: ClassVar[dict] = {"axis": -1}

    def __init__(self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None):
        super().__init__(cosine_similarity, reduction=reduction, name=name, dtype=dtype, axis=axis)
