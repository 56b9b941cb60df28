"""Normalization: data brought to zero mean and unit variance, both known before training."""

from __future__ import annotations

import math

import numpy as np

from kcore import ops
from kcore.autograd import config
from kcore.layers.options import BuiltinLayer


class Normalization(BuiltinLayer):
    """`(x - mean) / sqrt(variance)`, with mean and variance given, or found by `adapt(data)`.

    Args:
        axis: the axis or axes that keep their own mean and variance; None for one of all numbers.
        mean, variance: numbers or arrays over `axis`; both or neither.
        invert: whether the map is reversed: `x * sqrt(variance) + mean`.

    Input shape and output shape: any. Weights, unless mean and variance were given: `mean`, `variance`, `count`, not
    trained.

    >>> import numpy as np
    >>> layer = Normalization(axis=None)
    >>> layer.adapt(np.array([1.0, 3.0], "float32"))
    >>> layer(np.array([1.0, 3.0], "float32")).numpy().tolist()
    [-1.0, 1.0]
    """

    OPTIONS = ("axis", "invert", "mean", "variance")

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        self.axis = () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"[Normalization] expected both mean and variance or neither, received {mean!r} and {variance!r}"
            )
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True
        self._shape_of_statistics = None

    def build(self, input_shape):
        rank = len(input_shape)
        if not all(-rank <= axis < rank for axis in self.axis):
            raise ValueError(f"[Normalization] expected axes of an input of {rank} axes, received axis={self.axis}")
        kept = sorted(axis % rank for axis in self.axis)
        shape = tuple(input_shape[axis] for axis in kept)
        if None in shape:
            raise ValueError(
                f"[Normalization] expected known sizes along axis={self.axis}, received shape {tuple(input_shape)}"
            )
        self._reduced = tuple(axis for axis in range(rank) if axis not in kept)
        self._shape_of_statistics = tuple(input_shape[axis] if axis in kept else 1 for axis in range(rank))
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(name="variance", shape=shape, initializer="ones", trainable=False)
            self.count = self.add_weight(name="count", shape=(), dtype="int32", initializer="zeros", trainable=False)
        self.built = True

    def _statistic(self, given, weight_name: str):
        if self._shape_of_statistics is None:
            return None
        value = getattr(self, weight_name) if given is None else self._broadcast(given)
        return ops.cast(ops.reshape(ops.convert_to_tensor(value), self._shape_of_statistics), self.compute_dtype)

    def _broadcast(self, given):
        try:
            return np.broadcast_to(np.asarray(given, "float32"), self._shape_of_statistics)
        except ValueError:
            raise ValueError(
                f"[Normalization] expected mean and variance that broadcast to {self._shape_of_statistics}, "
                f"received shape {np.shape(given)}"
            ) from None

    @property
    def mean(self):
        """The mean, shaped to broadcast with the inputs; None before it is known."""
        return self._statistic(self.input_mean, "adapt_mean")

    @property
    def variance(self):
        """The variance, shaped to broadcast with the inputs; None before it is known."""
        return self._statistic(self.input_variance, "adapt_variance")

    def adapt(self, data):
        """Finds mean and variance of `data`: an array, or an iterable of batches (arrays, or tuples that start with one).

        What earlier calls found is forgotten.
        """
        if self.input_mean is not None:
            raise ValueError("[Normalization] expected no mean and variance to adapt, received them at construction")
        batches = [data] if hasattr(data, "shape") or not hasattr(data, "__iter__") or _is_numbers(data) else data
        count, mean, variance = 0, 0.0, 0.0
        for batch in batches:
            batch = np.asarray(batch[0] if isinstance(batch, (tuple, list)) and not _is_numbers(batch) else batch)
            if not self.built:
                self.build((None, *batch.shape[1:]))
            batch = batch.astype("float64")
            n = math.prod(batch.shape[axis] for axis in self._reduced)
            if n == 0:
                raise ValueError(f"[Normalization] expected data to adapt to, received shape {batch.shape}")
            m, v = batch.mean(axis=self._reduced), batch.var(axis=self._reduced)
            # Chan et al., 1983: mean and variance of the union of two sets.
            share = n / (count + n)
            variance = (1 - share) * variance + share * v + share * (1 - share) * (m - mean) ** 2
            mean = mean + share * (m - mean)
            count += n
        if count == 0:
            raise ValueError("[Normalization] expected data to adapt to, received an empty iterable")
        self.adapt_mean.assign(np.asarray(mean, "float32"))
        self.adapt_variance.assign(np.asarray(variance, "float32"))
        self.count.assign(min(count, 2**31 - 1))

    def call(self, inputs):
        inputs = ops.cast(inputs, self.compute_dtype)
        spread = ops.maximum(ops.sqrt(self.variance), config.epsilon())
        if self.invert:
            return ops.add(ops.multiply(inputs, spread), self.mean)
        return ops.divide(ops.subtract(inputs, self.mean), spread)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        return {**config, "mean": _plain(self.input_mean), "variance": _plain(self.input_variance)}


def _is_numbers(data) -> bool:
    """Whether a list is nested numbers, not a list of arrays."""
    while isinstance(data, (list, tuple)) and len(data):
        data = data[0]
    return isinstance(data, (int, float, np.number))


def _plain(value):
    return value if value is None or isinstance(value, (int, float)) else np.asarray(value).tolist()
