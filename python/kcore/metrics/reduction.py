"""Metrics that sum or average one value per sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.losses.loss import apply_mask, squeeze_or_expand_to_same_rank
from kcore.metrics.metric import Metric
from kcore.saving import deserialize_keras_object, serialize_keras_object


def to_samples(values, sample_weight, reduce: Callable, dtype: str) -> tuple[Tensor, Tensor | None]:
    """One weighted value for each sample, and its weight (None: all 1).

    Args:
        values: (batch, ...).
        sample_weight: (batch,), or any shape that broadcasts to the values.
        reduce: `ops.mean` or `ops.sum`, for the axes behind the first.
    """
    values = convert_to_tensor(values)
    mask = values.keras_mask
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        sample_weight = convert_to_tensor(sample_weight, dtype=dtype)
        if mask is not None:
            sample_weight = apply_mask(sample_weight, mask, dtype, "sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        weight_rank = sample_weight.ndim
        if weight_rank > values.ndim:
            raise ValueError(
                f"[sample_weight] expected a shape that broadcasts to that of the values, {values.shape}, received "
                f"{sample_weight.shape}"
            )
        if values.ndim > weight_rank:
            values = reduce(values, axis=tuple(range(weight_rank, values.ndim)))
        sample_weight = ops.broadcast_to(sample_weight, values.shape)
        values = values * sample_weight
        if weight_rank > 1:
            sample_weight = reduce(sample_weight, axis=tuple(range(1, weight_rank)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, sample_weight


class Sum(Metric):
    """The weighted sum of all values.

    >>> float(Sum()([1.0, 3.0], sample_weight=[2.0, 1.0]))
    5.0
    """

    def __init__(self, name="sum", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values, sample_weight=None) -> None:
        values, _ = to_samples(values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Tensor:
        return self.total.value


class Mean(Metric):
    """The weighted mean of all values. Values with several axes count as their mean per sample.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> float(mean([5.0]))
    3.0
    """

    def __init__(self, name="mean", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values, sample_weight=None) -> None:
        values, weights = to_samples(values, sample_weight, ops.mean, self.dtype)
        self.total.assign_add(ops.sum(values))
        self.count.assign_add(math.prod(values.shape) if weights is None else ops.sum(weights))

    def result(self) -> Tensor:
        return ops.divide_no_nan(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The mean of a function `fn(y_true, y_pred, **kwargs)` that gives one value per sample.

    >>> from kcore import losses
    >>> float(MeanMetricWrapper(losses.mean_squared_error)([[0.0], [1.0]], [[2.0], [1.0]]))
    2.0
    """

    # Arguments of fn with the value at which Keras's configs leave them out; otherwise a file would lose them.
    _unwritten: ClassVar[dict] = {}

    def __init__(self, fn: Callable, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype=dtype)
        if not callable(fn):
            raise ValueError(f"[{self.name}] expected fn to be a function of y_true and y_pred, received {fn!r}")
        self._fn = fn
        self._fn_kwargs = kwargs
        if type(self) is MeanMetricWrapper and getattr(fn, "__module__", "").startswith("kcore.losses"):
            self._direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        mask = getattr(y_pred, "keras_mask", None)
        if str(getattr(y_pred, "dtype", "")) == "bfloat16":  # which cannot tell class 257 from class 256
            y_pred = ops.cast(y_pred, self.dtype)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if mask is not None:
            sample_weight = apply_mask(sample_weight, mask, self.dtype, "sum")
        super().update_state(values, sample_weight)

    def get_config(self) -> dict:
        config = super().get_config()
        if type(self) is MeanMetricWrapper:
            config["fn"] = serialize_keras_object(self._fn)
        for name, value in self._fn_kwargs.items():
            if name not in self._unwritten or value != self._unwritten[name]:
                config[name] = value
        return config

    @classmethod
    def from_config(cls, config: dict) -> MeanMetricWrapper:
        if isinstance(config.get("fn"), dict):
            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)
