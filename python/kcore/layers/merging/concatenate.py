"""Concatenate: inputs side by side."""

from __future__ import annotations

from kcore import ops
from kcore.layers.merging.elementwise import Merge, check_input_list


class Concatenate(Merge):
    """Joins the inputs along `axis`; their other sizes must agree.

    >>> import numpy as np
    >>> Concatenate(axis=1)([np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")]).shape
    (2, 8, 4)
    """

    OPTIONS = ("axis",)

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        self._merged_shape(check_input_list(self, input_shape))
        self.built = True

    def _merged_shape(self, shapes):
        rank = len(shapes[0])
        axis = self.axis + rank if self.axis < 0 else self.axis
        if not 0 <= axis < rank:
            raise ValueError(f"[Concatenate] expected an axis of inputs of {rank} axes, received axis={self.axis}")
        merged = list(shapes[0])
        for shape in shapes[1:]:
            others = zip(merged, shape)
            if len(shape) != rank or any(
                i != axis and None not in (a, b) and a != b for i, (a, b) in enumerate(others)
            ):
                raise ValueError(
                    f"[Concatenate] expected inputs whose shapes agree except along axis {self.axis}, "
                    f'received {shapes} (layer "{self.name}")'
                )
            merged = [a if a is not None and i != axis else b for i, (a, b) in enumerate(zip(merged, shape))]
        sizes = [shape[axis] for shape in shapes]
        merged[axis] = None if None in sizes else sum(sizes)
        return tuple(merged)

    def call(self, inputs):
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"[Concatenate] expected a list of inputs, received {inputs!r}")
        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        if not isinstance(mask, (list, tuple)) or not isinstance(inputs, (list, tuple)) or len(mask) != len(inputs):
            raise ValueError(f"[Concatenate] expected a mask (or None) per input, received {mask!r}")
        if all(m is None for m in mask):
            return None
        # Every mask in the shape of its input, joined as the inputs are, and True where any feature of a step counts.
        full = []
        for x, m in zip(inputs, mask):
            m = ops.ones(tuple(x.shape), dtype="bool") if m is None else ops.cast(m, "bool")
            while len(m.shape) < len(x.shape):
                m = ops.expand_dims(m, -1)
            full.append(ops.broadcast_to(m, tuple(x.shape)))
        return ops.any(ops.concatenate(full, axis=self.axis), axis=-1)


def concatenate(inputs, axis=-1, **kwargs):
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)
