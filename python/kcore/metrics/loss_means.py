"""Metrics that average a loss or an error over the samples, and correlations."""

from __future__ import annotations

from typing import ClassVar

from kcore import losses, ops
from kcore.autograd import Tensor
from kcore.autograd.config import epsilon
from kcore.losses.loss import as_pair, squeeze_or_expand_to_same_rank
from kcore.metrics.reduction import Mean, MeanMetricWrapper


def cosine_similarity(y_true, y_pred, axis=-1) -> Tensor:
    """The cosine of the angle between y_true and y_pred along `axis`. (..., n), (..., n) -> (...)."""
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis=axis))


def pearson_correlation(y_true, y_pred, axis=-1) -> Tensor:
    """Pearson's correlation coefficient of y_true and y_pred along `axis`. (..., n), (..., n) -> (...).

    >>> round(float(pearson_correlation([0.0, 1.0, 0.5], [0.1, 0.9, 1.0])), 4)
    0.8109
    """
    y_true, y_pred = _same_rank(y_true, y_pred)
    deviations = [y - ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    normalized = [ops.normalize(deviation, axis=axis) for deviation in deviations]
    return ops.sum(normalized[0] * normalized[1], axis=axis)


def concordance_correlation(y_true, y_pred, axis=-1) -> Tensor:
    """Lin's concordance correlation coefficient along `axis` (Lin, https://doi.org/10.2307/2532051). (..., n) -> (...).

    Like the correlation coefficient, but 1 only where y_pred equals y_true.
    """
    y_true, y_pred = _same_rank(y_true, y_pred)
    means = [ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    deviations = [y - mean for y, mean in zip((y_true, y_pred), means)]
    covariance = ops.mean(deviations[0] * deviations[1], axis=axis)
    variances = [ops.mean(ops.square(deviation), axis=axis) for deviation in deviations]
    shift = ops.square(ops.squeeze(means[0] - means[1], axis=axis))
    return covariance * 2.0 / (variances[0] + variances[1] + shift + epsilon())


def _same_rank(y_true, y_pred) -> tuple[Tensor, Tensor]:
    return squeeze_or_expand_to_same_rank(*as_pair(y_true, y_pred))


class MeanSquaredError(MeanMetricWrapper):
    """Mean of (y_true - y_pred)^2.

    >>> float(MeanSquaredError()([[0.0], [1.0]], [[2.0], [1.0]]))
    2.0
    """

    _direction = "down"

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(losses.mean_squared_error, name=name, dtype=dtype)


class RootMeanSquaredError(Mean):
    """Square root of the mean of (y_true - y_pred)^2."""

    _direction = "down"

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        y_true, y_pred = _same_rank(y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Tensor:
        return ops.sqrt(super().result())


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of |y_true - y_pred|."""

    _direction = "down"

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(losses.mean_absolute_error, name=name, dtype=dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """100 times the mean of |(y_true - y_pred) / y_true|."""

    _direction = "down"

    def __init__(self, name="mean_absolute_percentage_error", dtype=None):
        super().__init__(losses.mean_absolute_percentage_error, name=name, dtype=dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of (log(y_true + 1) - log(y_pred + 1))^2."""

    _direction = "down"

    def __init__(self, name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(losses.mean_squared_logarithmic_error, name=name, dtype=dtype)


class LogCoshError(MeanMetricWrapper):
    """Mean of log(cosh(y_pred - y_true))."""

    _direction = "down"

    def __init__(self, name="logcosh", dtype=None):
        super().__init__(losses.log_cosh, name=name, dtype=dtype)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between y_true and y_pred along `axis`: 1 where they agree."""

    _direction = "up"
    _unwritten: ClassVar[dict] = {"axis": -1}

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1):
        super().__init__(cosine_similarity, name=name, dtype=dtype, axis=axis)


class PearsonCorrelation(MeanMetricWrapper):
    """Mean of Pearson's correlation coefficient along `axis`."""

    _direction = "up"

    def __init__(self, name="pearson_correlation", dtype=None, axis=-1):
        super().__init__(pearson_correlation, name=name, dtype=dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean of Lin's concordance correlation coefficient along `axis`."""

    _direction = "up"

    def __init__(self, name="concordance_correlation", dtype=None, axis=-1):
        super().__init__(concordance_correlation, name=name, dtype=dtype, axis=axis)


class Hinge(MeanMetricWrapper):
    """Mean of max(1 - y_true y_pred, 0)."""

    _direction = "down"

    def __init__(self, name="hinge", dtype=None):
        super().__init__(losses.hinge, name=name, dtype=dtype)


class SquaredHinge(MeanMetricWrapper):
    """Mean of max(1 - y_true y_pred, 0)^2."""

    _direction = "down"

    def __init__(self, name="squared_hinge", dtype=None):
        super().__init__(losses.squared_hinge, name=name, dtype=dtype)


class CategoricalHinge(MeanMetricWrapper):
    """Mean of max(best score of a wrong class - score of the right one + 1, 0)."""

    _direction = "down"

    def __init__(self, name="categorical_hinge", dtype=None):
        super().__init__(losses.categorical_hinge, name=name, dtype=dtype)


class KLDivergence(MeanMetricWrapper):
    """Mean of the sum of y_true log(y_true / y_pred) over the classes."""

    _direction = "down"

    def __init__(self, name="kl_divergence", dtype=None):
        super().__init__(losses.kl_divergence, name=name, dtype=dtype)


class Poisson(MeanMetricWrapper):
    """Mean of y_pred - y_true log(y_pred)."""

    _direction = "down"

    def __init__(self, name="poisson", dtype=None):
        super().__init__(losses.poisson, name=name, dtype=dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """Mean binary cross-entropy; see `losses.binary_crossentropy`."""

    _direction = "down"

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0):
        super().__init__(
            losses.binary_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of one-hot labels; see `losses.categorical_crossentropy`."""

    _direction = "down"

    def __init__(self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1):
        super().__init__(
            losses.categorical_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of integer labels; see `losses.sparse_categorical_crossentropy`."""

    _direction = "down"

    def __init__(
        self, name="sparse_categorical_crossentropy", dtype=None, from_logits=False, ignore_class=None, axis=-1
    ):
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
