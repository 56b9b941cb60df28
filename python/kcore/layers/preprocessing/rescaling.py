"""Rescaling: values brought to another range."""

from __future__ import annotations

from kcore import ops
from kcore.layers.options import BuiltinLayer


class Rescaling(BuiltinLayer):
    """`x * scale + offset`, numbers or one per channel. Integers come out as floats.

    >>> import numpy as np
    >>> Rescaling(1 / 255)(np.array([255], "uint8")).numpy().tolist()
    [1.0]
    """

    OPTIONS = ("scale", "offset")

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        inputs = ops.cast(inputs, self.compute_dtype)
        return ops.add(ops.multiply(inputs, self._numbers(self.scale)), self._numbers(self.offset))

    def _numbers(self, value):
        return value if isinstance(value, (int, float)) else ops.convert_to_tensor(value, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
