"""Initializers that draw from a distribution.

Like Keras's, one with an integer seed gives the same values at every call; a SeedGenerator gives new ones each time.
"""

from __future__ import annotations

import math

import numpy as np

from kcore import ops, random
from kcore.autograd import Tensor
from kcore.autograd.config import floatx
from kcore.initializers.initializer import Initializer, check_shape
from kcore.random import SeedGenerator
from kcore.saving import serialize_keras_object

# The standard deviation of a standard normal that was cut at two of its own: sqrt(1 - 4 pdf(2) / (cdf(2) - cdf(-2))).
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """An initializer with a seed: an integer, a SeedGenerator, or None for one that differs between instances."""

    def __init__(self, seed=None):
        if isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed.get("config", seed))
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer, SeedGenerator))):
            raise ValueError(
                f"[{type(self).__name__}] expected seed to be an integer or a SeedGenerator, received {seed!r}"
            )
        self._init_seed = seed
        self.seed = random.make_default_seed() if seed is None else seed

    def get_config(self) -> dict:
        if not isinstance(self._init_seed, SeedGenerator):
            return {"seed": self._init_seed}
        return {"seed": serialize_keras_object(self._init_seed)}


class RandomNormal(RandomInitializer):
    """Normal with the given mean and standard deviation."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape("RandomNormal", shape)
        return random.normal(shape, mean=self.mean, stddev=self.stddev, dtype=dtype or floatx(), seed=self.seed)

    def get_config(self) -> dict:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomInitializer):
    """Normal, with what lies more than two standard deviations from the mean drawn again."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape("TruncatedNormal", shape)
        return random.truncated_normal(
            shape, mean=self.mean, stddev=self.stddev, dtype=dtype or floatx(), seed=self.seed
        )

    def get_config(self) -> dict:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class RandomUniform(RandomInitializer):
    """Uniform in [minval, maxval)."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape("RandomUniform", shape)
        return random.uniform(shape, minval=self.minval, maxval=self.maxval, dtype=dtype or floatx(), seed=self.seed)

    def get_config(self) -> dict:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Mean 0 and variance `scale / n`, where n counts a weight's inputs, its outputs, or is the mean of the two.

    Args:
        scale: positive number.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (also called "normal"), "untruncated_normal" or "uniform".
        seed: integer, SeedGenerator or None.
        input_axes, output_axes: the axes that are multiplied to the number of inputs and of outputs. By default the
            last axis but one and the last, each times the axes before them (the window of a convolution kernel).
    """

    def __init__(
        self,
        scale=1.0,
        mode="fan_in",
        distribution="truncated_normal",
        seed=None,
        input_axes=None,
        output_axes=None,
    ):
        super().__init__(seed)
        if not 0 < scale < float("inf"):
            raise ValueError(f"[{type(self).__name__}] expected a finite scale > 0, received {scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                f'[{type(self).__name__}] expected mode "fan_in", "fan_out" or "fan_avg", received {mode!r}'
            )
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                f'[{type(self).__name__}] expected distribution "truncated_normal", "untruncated_normal" or "uniform", '
                f"received {distribution!r}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape(type(self).__name__, shape)
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        options = {"dtype": dtype or floatx(), "seed": self.seed}
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return random.uniform(shape, minval=-limit, maxval=limit, **options)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, mean=0.0, stddev=math.sqrt(variance), **options)
        return random.truncated_normal(shape, mean=0.0, stddev=math.sqrt(variance) / _TRUNCATED_STDDEV, **options)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **self._axes_config(),
        }

    def _axes_config(self) -> dict:
        return {"input_axes": self.input_axes, "output_axes": self.output_axes}


class _NamedScaling(VarianceScaling):
    """A VarianceScaling of fixed scale, mode and distribution."""

    _fixed: tuple[float, str, str]

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        scale, mode, distribution = self._fixed
        super().__init__(scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict:
        return {**RandomInitializer.get_config(self), **self._axes_config()}


class GlorotUniform(_NamedScaling):
    """Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio, https://proceedings.mlr.press/v9/glorot10a.html)."""

    _fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal with variance 2 / (fan_in + fan_out) (https://proceedings.mlr.press/v9/glorot10a.html)."""

    _fixed = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform with variance 1 / fan_in (LeCun et al., Efficient BackProp)."""

    _fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal with variance 1 / fan_in (LeCun et al., Efficient BackProp)."""

    _fixed = (1.0, "fan_in", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform with variance 2 / fan_in (He et al., https://arxiv.org/abs/1502.01852)."""

    _fixed = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal with variance 2 / fan_in (He et al., https://arxiv.org/abs/1502.01852)."""

    _fixed = (2.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix with orthonormal rows or columns (Saxe et al., https://arxiv.org/abs/1312.6120).

    A shape of higher rank is that matrix of shape (product of the other axes, last axis), reshaped.
    """

    def __init__(self, gain=1.0, seed=None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape("Orthogonal", shape)
        if len(shape) < 2:
            raise ValueError(f"[Orthogonal] expected a shape of rank 2 or more, received {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(random.normal(tall, dtype="float64", seed=self.seed).numpy())
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # so that the matrix is uniformly distributed
        if rows < columns:
            q = q.T
        return ops.cast(ops.convert_to_tensor(self.gain * q.reshape(shape)), dtype or floatx())

    def get_config(self) -> dict:
        return {**super().get_config(), "gain": self.gain}


def compute_fans(shape: tuple[int, ...], input_axes=None, output_axes=None) -> tuple[int, int]:
    """Inputs and outputs of one weight.

    >>> compute_fans((3, 3, 4, 8)), compute_fans((3, 5, 7), input_axes=(0, 1), output_axes=(2,))
    ((36, 72), (15, 7))
    """
    if input_axes is not None and output_axes is not None:
        return tuple(math.prod(shape[axis] for axis in np.atleast_1d(axes)) for axes in (input_axes, output_axes))
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]
