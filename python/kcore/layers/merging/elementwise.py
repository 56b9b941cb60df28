"""Add, Subtract, Multiply, Average, Maximum, Minimum: several inputs to one, element by element."""

from __future__ import annotations

import functools

from kcore import ops
from kcore.graph import KerasTensor
from kcore.layers.options import BuiltinLayer


def check_input_list(layer, input_shape, minimum: int = 1) -> list[tuple]:
    """The shapes of a list of inputs; raises if there is no list."""
    name = type(layer).__name__
    if not isinstance(input_shape, (list, tuple)) or not input_shape or not isinstance(input_shape[0], (list, tuple)):
        raise ValueError(f'[{name}] expected a list of inputs, received shape {input_shape} (layer "{layer.name}")')
    if len(input_shape) < minimum:
        raise ValueError(
            f'[{name}] expected at least {minimum} inputs, received {len(input_shape)} (layer "{layer.name}")'
        )
    return [tuple(shape) for shape in input_shape]


class Merge(BuiltinLayer):
    """Combines inputs of broadcastable shapes; inputs of lower rank get axes of size 1 behind the batch."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def combine(self, inputs: list):
        """The merged tensor; inputs have the same rank."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a subclass that defines combine")

    def build(self, input_shape):
        shapes = check_input_list(self, input_shape)
        if len({shape[0] for shape in shapes if shape and shape[0] is not None}) > 1:
            raise ValueError(
                f'[{type(self).__name__}] expected one batch size, received shapes {shapes} (layer "{self.name}")'
            )
        self._merged_shape(shapes)
        self.built = True

    def _merged_shape(self, shapes: list[tuple]) -> tuple:
        rank = max(len(shape) for shape in shapes)
        padded = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
        merged = []
        for sizes in zip(*padded):
            known = {size for size in sizes if size not in (None, 1)}
            if len(known) > 1:
                raise ValueError(
                    f'[{type(self).__name__}] expected shapes that broadcast, received {shapes} (layer "{self.name}")'
                )
            merged.append(known.pop() if known else (None if None in sizes else 1))
        return tuple(merged)

    def call(self, inputs):
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"[{type(self).__name__}] expected a list of inputs, received {inputs!r}")
        rank = max(len(x.shape) for x in inputs)
        return self.combine([_with_rank(x, rank) for x in inputs])

    def compute_output_shape(self, input_shape):
        return self._merged_shape(check_input_list(self, input_shape))

    def compute_output_spec(self, inputs):
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"[{type(self).__name__}] expected a list of inputs, received {inputs!r}")
        return KerasTensor(self.compute_output_shape([x.shape for x in inputs]), dtype=self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        if not isinstance(mask, (list, tuple)) or not isinstance(inputs, (list, tuple)):
            raise ValueError(
                f"[{type(self).__name__}] expected lists of inputs and masks, received {inputs!r}, {mask!r}"
            )
        if len(mask) != len(inputs):
            raise ValueError(f"[{type(self).__name__}] expected {len(inputs)} masks, received {len(mask)}")
        if any(m is None for m in mask):
            return None
        return functools.reduce(ops.logical_or, mask)


def _with_rank(x, rank: int):
    shape = tuple(x.shape)
    missing = rank - len(shape)
    return ops.reshape(x, (*shape[:1], *(1,) * missing, *shape[1:])) if missing else x


class Add(Merge):
    """The sum of the inputs.

    >>> import numpy as np
    >>> Add()([np.ones((2, 3), "float32"), np.ones((2, 3), "float32")]).shape
    (2, 3)
    """

    def combine(self, inputs):
        return functools.reduce(ops.add, inputs)


class Subtract(Merge):
    """The first input minus the second.

    >>> import numpy as np
    >>> Subtract()([np.ones((2, 3), "float32"), np.ones((2, 3), "float32")]).shape
    (2, 3)
    """

    def build(self, input_shape):
        if len(check_input_list(self, input_shape)) != 2:
            raise ValueError(
                f'[Subtract] expected exactly 2 inputs, received shapes {input_shape} (layer "{self.name}")'
            )
        super().build(input_shape)

    def combine(self, inputs):
        if len(inputs) != 2:
            raise ValueError(f'[Subtract] expected exactly 2 inputs, received {len(inputs)} (layer "{self.name}")')
        return ops.subtract(*inputs)


class Multiply(Merge):
    """The product of the inputs.

    >>> import numpy as np
    >>> Multiply()([np.ones((2, 3), "float32"), np.ones((2, 1), "float32")]).shape
    (2, 3)
    """

    def combine(self, inputs):
        return functools.reduce(ops.multiply, inputs)


class Average(Merge):
    """The mean of the inputs.

    >>> import numpy as np
    >>> Average()([np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")]).numpy().sum()
    np.float32(3.0)
    """

    def combine(self, inputs):
        return ops.divide(functools.reduce(ops.add, inputs), float(len(inputs)))


class Maximum(Merge):
    """The largest of the inputs.

    >>> import numpy as np
    >>> Maximum()([np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")]).numpy().sum()
    np.float32(6.0)
    """

    def combine(self, inputs):
        return functools.reduce(ops.maximum, inputs)


class Minimum(Merge):
    """The smallest of the inputs.

    >>> import numpy as np
    >>> Minimum()([np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")]).numpy().sum()
    np.float32(0.0)
    """

    def combine(self, inputs):
        return functools.reduce(ops.minimum, inputs)


def add(inputs, **kwargs):
    """`Add(**kwargs)(inputs)`."""
    return Add(**kwargs)(inputs)


def subtract(inputs, **kwargs):
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs, **kwargs):
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs, **kwargs):
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs, **kwargs):
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs, **kwargs):
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)
