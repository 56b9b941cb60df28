"""UnitNormalization: vectors scaled to length 1."""

from __future__ import annotations

from kcore import ops
from kcore.layers.normalization.layer_normalization import axes_of
from kcore.layers.options import BuiltinLayer


class UnitNormalization(BuiltinLayer):
    """Divides by the Euclidean length over `axis`, one or several.

    >>> import numpy as np
    >>> UnitNormalization()(np.array([[3.0, 4.0]], "float32")).numpy().round(3).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """

    OPTIONS = ("axis",)

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axes_of(self, axis)
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        # A length below 1e-6 is taken as 1e-6: a zero vector stays zero.
        squares = ops.sum(ops.square(inputs), axis=self.axis, keepdims=True)
        return ops.multiply(inputs, ops.rsqrt(ops.maximum(squares, 1e-12)))

    def compute_output_shape(self, input_shape):
        return input_shape
