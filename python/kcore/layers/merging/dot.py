"""Dot: products of two inputs along an axis, example by example."""

from __future__ import annotations

import math

from kcore import ops
from kcore.layers.merging.elementwise import Merge, check_input_list


class Dot(Merge):
    """Sums the products of two inputs along one axis of each; the batch is kept.

    Args:
        axes: the axis, or one per input.
        normalize: whether both are scaled to length 1 along it first, which gives cosine similarities.

    Input shape: two tensors with the same batch size. Output shape: the batch, the first's other axes, the second's
    other axes.

    >>> import numpy as np
    >>> Dot((2, 1))([np.ones((2, 3, 4), "float32"), np.ones((2, 4, 5), "float32")]).shape
    (2, 3, 5)
    """

    OPTIONS = ("axes", "normalize")

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError(f"[Dot] expected axes to be an integer or two, received {axes!r}")
            if len(axes) != 2 or not all(isinstance(axis, int) for axis in axes):
                raise ValueError(f"[Dot] expected axes to be an integer or two, received {axes!r}")
        self.axes = axes
        self.normalize = normalize

    def _resolved(self, shapes: list[tuple]) -> tuple[int, int]:
        """The summed axis of each input, not negative."""
        if len(shapes) != 2:
            raise ValueError(f'[Dot] expected exactly 2 inputs, received shapes {shapes} (layer "{self.name}")')
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        a, b = (axis + len(shape) if axis < 0 else axis for axis, shape in zip(axes, shapes))
        x, y = shapes
        if not (0 < a < len(x) and 0 < b < len(y)):
            raise ValueError(f"[Dot] expected axes behind the batch of inputs {shapes}, received axes={self.axes}")
        if None not in (x[a], y[b]) and x[a] != y[b]:
            raise ValueError(
                f"[Dot] expected equal sizes along axes={self.axes}, received {x[a]} and {y[b]} of {x} and {y} "
                f'(layer "{self.name}")'
            )
        return a, b

    def build(self, input_shape):
        self._resolved(check_input_list(self, input_shape))
        self.built = True

    def _merged_shape(self, shapes):
        a, b = self._resolved(shapes)
        x, y = shapes
        rest = (*x[1:a], *x[a + 1 :], *y[1:b], *y[b + 1 :])
        return (x[0], *(rest or (1,)))

    def call(self, inputs):
        shapes = [tuple(x.shape) for x in inputs]
        a, b = self._resolved(shapes)
        x, y = inputs
        if self.normalize:
            x, y = ops.normalize(x, axis=a), ops.normalize(y, axis=b)
        x = ops.moveaxis(x, a, -1)  # (batch, rest of x, summed)
        y = ops.moveaxis(y, b, 1)  # (batch, summed, rest of y)
        batch, summed = shapes[0][0], shapes[0][a]
        x = ops.reshape(x, (batch, math.prod(x.shape[1:-1]), summed))
        y = ops.reshape(y, (batch, summed, math.prod(y.shape[2:])))
        return ops.reshape(ops.matmul(x, y), self._merged_shape(shapes))

    def compute_mask(self, inputs, mask=None):
        return None


def dot(inputs, axes=-1, **kwargs):
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)
