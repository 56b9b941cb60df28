"""Dropout and its relatives: noise during training, nothing at inference."""

from __future__ import annotations

import math

from kcore import ops, random
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, data_format_of, rate_of


class _Noise(BuiltinLayer):
    """A layer that draws random numbers in training; shape and mask stay."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True
        self.built = True

    def _seed_when(self, active: bool) -> None:
        """Makes the generator where one is needed; a layer that draws nothing holds no seed state."""
        if active:
            self.seed_generator = random.SeedGenerator(self.seed)

    def compute_output_shape(self, input_shape):
        return input_shape


class Dropout(_Noise):
    """Sets a fraction `rate` of the inputs to 0 in training and scales the others by `1 / (1 - rate)`.

    Args:
        rate: fraction to drop, in [0, 1].
        noise_shape: shape of the mask, broadcast to the input; None entries take the input's size.
        seed: for the same numbers again.

    Srivastava et al., 2014, http://jmlr.org/papers/v15/srivastava14a.html

    >>> import numpy as np
    >>> Dropout(0.5)(np.ones((2, 3), "float32"), training=False).numpy().sum()
    np.float32(6.0)
    """

    OPTIONS = ("rate", "seed", "noise_shape")

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.rate = rate_of(self, rate)
        self.noise_shape = _noise_shape_of(noise_shape)
        self._seed_when(rate > 0)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        noise_shape = _fill_noise_shape(self.noise_shape, inputs.shape)
        return random.dropout(inputs, self.rate, noise_shape=noise_shape, seed=self.seed_generator)


class _SpatialDropout(_Noise):
    """Drops whole channels: one decision per example and channel, for all positions."""

    RANK = 0

    def __init__(self, rate, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(seed, name=name, dtype=dtype, **kwargs)
        self.rate = rate_of(self, rate)
        self.data_format = "channels_last"
        self.input_spec = InputSpec(ndim=self.RANK + 2)
        self._seed_when(rate > 0)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        batch, ones = inputs.shape[0], (1,) * self.RANK
        last = self.data_format == "channels_last"
        noise_shape = (batch, *ones, inputs.shape[-1]) if last else (batch, inputs.shape[1], *ones)
        return random.dropout(inputs, self.rate, noise_shape=noise_shape, seed=self.seed_generator)

    def get_config(self):
        config = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}
        return config if self.RANK == 1 else {**config, "data_format": self.data_format}


class SpatialDropout1D(_SpatialDropout):
    """Drops whole feature maps of a sequence. Input shape: `(batch, steps, channels)`. See `Dropout`.

    >>> import numpy as np
    >>> SpatialDropout1D(0.5)(np.ones((2, 3, 4), "float32")).shape
    (2, 3, 4)
    """

    RANK = 1

    def __init__(self, rate, seed=None, name=None, dtype=None):
        super().__init__(rate, seed, name, dtype)


class SpatialDropout2D(_SpatialDropout):
    """Drops whole feature maps of an image. Input shape: `(batch, height, width, channels)`. See `Dropout`.

    >>> import numpy as np
    >>> SpatialDropout2D(0.5)(np.ones((2, 3, 4, 5), "float32")).shape
    (2, 3, 4, 5)
    """

    RANK = 2

    def __init__(self, rate, data_format=None, seed=None, name=None, dtype=None):
        super().__init__(rate, seed, name, dtype)
        self.data_format = data_format_of(self, data_format)


class SpatialDropout3D(_SpatialDropout):
    """Drops whole feature maps of a volume. Input shape: `(batch, depth, height, width, channels)`. See `Dropout`.

    >>> import numpy as np
    >>> SpatialDropout3D(0.5)(np.ones((2, 2, 3, 4, 5), "float32")).shape
    (2, 2, 3, 4, 5)
    """

    RANK = 3

    def __init__(self, rate, data_format=None, seed=None, name=None, dtype=None):
        super().__init__(rate, seed, name, dtype)
        self.data_format = data_format_of(self, data_format)


class GaussianNoise(_Noise):
    """Adds normal noise of standard deviation `stddev` in training.

    >>> import numpy as np
    >>> GaussianNoise(0.1)(np.ones((2, 3), "float32"), training=True).shape
    (2, 3)
    """

    OPTIONS = ("stddev", "seed")

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        if not isinstance(stddev, (int, float)) or not 0 <= stddev < math.inf:
            raise ValueError(f"[GaussianNoise] expected stddev to be a number >= 0, received {stddev!r}")
        self.stddev = stddev
        self._seed_when(stddev > 0)

    def call(self, inputs, training=False):
        if not training or self.stddev == 0:
            return inputs
        noise = random.normal(
            tuple(inputs.shape), mean=0.0, stddev=self.stddev, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return ops.add(inputs, noise)


class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 and standard deviation `sqrt(rate / (1 - rate))` in training.

    >>> import numpy as np
    >>> GaussianDropout(0.5)(np.ones((2, 3), "float32"), training=True).shape
    (2, 3)
    """

    OPTIONS = ("rate", "seed")

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.rate = rate_of(self, rate)
        self._seed_when(rate > 0)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        noise = random.normal(
            tuple(inputs.shape), mean=1.0, stddev=stddev, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return ops.multiply(inputs, noise)


class AlphaDropout(_Noise):
    """Dropout that keeps the mean and variance of `selu` networks (Klambauer et al., arXiv 1706.02515).

    Args:
        rate: fraction to drop, in [0, 1].
        noise_shape: shape of the mask, broadcast to the input.
        seed: for the same numbers again.

    >>> import numpy as np
    >>> AlphaDropout(0.5)(np.ones((2, 3), "float32"), training=True).shape
    (2, 3)
    """

    OPTIONS = ("rate", "seed", "noise_shape")
    # What selu tends to for very negative inputs: -scale * alpha.
    _DROPPED = -1.0507009873554805 * 1.6732632423543772

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.rate = rate_of(self, rate)
        self.noise_shape = _noise_shape_of(noise_shape)
        self._seed_when(rate > 0)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        noise_shape = _fill_noise_shape(self.noise_shape, inputs.shape) or tuple(inputs.shape)
        kept = ops.greater_equal(random.uniform(noise_shape, seed=self.seed_generator), self.rate)
        kept = ops.cast(kept, inputs.dtype)
        # a x + b has the mean and variance that x had before values were replaced by _DROPPED.
        a = ((1 - self.rate) * (1 + self.rate * self._DROPPED**2)) ** -0.5 if self.rate < 1 else 0.0
        b = -a * self._DROPPED * self.rate
        mixed = ops.add(ops.multiply(inputs, kept), ops.multiply(self._DROPPED, ops.subtract(1.0, kept)))
        return ops.add(ops.multiply(mixed, a), b)


def _noise_shape_of(noise_shape):
    if noise_shape is None or isinstance(noise_shape, tuple):
        return noise_shape
    if not isinstance(noise_shape, list):
        raise ValueError(f"[Dropout] expected noise_shape to be a tuple of integers or None, received {noise_shape!r}")
    return tuple(noise_shape)


def _fill_noise_shape(noise_shape, input_shape):
    """The mask's shape with the input's sizes where none is given, or None for the input's shape."""
    if noise_shape is None:
        return None
    if len(noise_shape) != len(input_shape):
        raise ValueError(f"[Dropout] expected noise_shape of {len(input_shape)} sizes, received {noise_shape}")
    return tuple(size if given is None else given for given, size in zip(noise_shape, input_shape))
