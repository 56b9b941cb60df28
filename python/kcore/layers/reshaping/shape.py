"""Flatten, Reshape, Permute, RepeatVector: the same numbers in another shape."""

from __future__ import annotations

import math

from kcore import ops
from kcore.graph import KerasTensor
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, data_format_of, positive_int


class Flatten(BuiltinLayer):
    """All axes but the batch as one.

    Args:
        data_format: `"channels_first"` input is brought to channels_last first, so that the order of the outputs is
            the same.

    Input shape: `(batch, ...)`. Output shape: `(batch, product of the rest)`.

    >>> import numpy as np
    >>> Flatten()(np.ones((2, 3, 4), "float32")).shape
    (2, 12)
    """

    OPTIONS = ("data_format",)

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs):
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, axes=(0, *range(2, rank), 1))
        rest = math.prod(inputs.shape[1:])
        return ops.reshape(inputs, (inputs.shape[0], rest))

    def compute_output_shape(self, input_shape):
        rest = None if None in input_shape[1:] else math.prod(input_shape[1:])
        return (input_shape[0], rest)

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)


class Reshape(BuiltinLayer):
    """Every example in another shape.

    Args:
        target_shape: the shape without the batch; one size may be -1 and is worked out.

    Input shape: `(batch, ...)`. Output shape: `(batch, *target_shape)`.

    Raises:
        ValueError: more than one -1, or the sizes do not multiply to the input's.

    >>> import numpy as np
    >>> Reshape((-1, 2))(np.ones((2, 3, 4), "float32")).shape
    (2, 6, 2)
    """

    OPTIONS = ("target_shape",)

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if sum(size == -1 for size in self.target_shape) > 1:
            raise ValueError(f"[Reshape] expected at most one -1 in target_shape, received {self.target_shape}")
        self.built = True

    def compute_output_shape(self, input_shape):
        sizes, known = input_shape[1:], math.prod(size for size in self.target_shape if size != -1)
        if None in sizes:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        total = math.prod(sizes)
        fits = total == known if -1 not in self.target_shape else known > 0 and total % known == 0
        if not fits:
            raise ValueError(
                f"[Reshape] expected a target_shape of {total} elements, received {self.target_shape} "
                f'for an input of shape {tuple(input_shape)} (layer "{self.name}")'
            )
        return (input_shape[0], *(total // known if size == -1 else size for size in self.target_shape))

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def call(self, inputs):
        return ops.reshape(inputs, self.compute_output_shape(tuple(inputs.shape)))


class Permute(BuiltinLayer):
    """The axes of every example in another order.

    Args:
        dims: where each output axis comes from; the first axis after the batch is 1.

    Input shape: `(batch, ...)`. Output shape: the same sizes, permuted.

    >>> import numpy as np
    >>> Permute((2, 1))(np.ones((2, 3, 4), "float32")).shape
    (2, 4, 3)
    """

    OPTIONS = ("dims",)

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"[Permute] expected dims to hold 1 to {len(self.dims)} once each, received {dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def call(self, inputs):
        return ops.transpose(inputs, axes=(0, *self.dims))


class RepeatVector(BuiltinLayer):
    """Every vector `n` times.

    Input shape: `(batch, features)`. Output shape: `(batch, n, features)`.

    >>> import numpy as np
    >>> RepeatVector(3)(np.ones((2, 4), "float32")).shape
    (2, 3, 4)
    """

    OPTIONS = ("n",)

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"[RepeatVector] expected n to be an integer, received {n!r}")
        self.n = positive_int(self, "n", n)
        self.input_spec = InputSpec(ndim=2)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n, input_shape[1])

    def call(self, inputs):
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)  # (batch, 1, features) -> (batch, n, features)
