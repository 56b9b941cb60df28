"""Masking: marks the time steps that hold nothing."""

from __future__ import annotations

from kcore import ops
from kcore.layers.options import BuiltinLayer


class Masking(BuiltinLayer):
    """Masks the steps whose features all equal `mask_value`, and sets them to zero.

    Input shape and output shape: `(batch, time, features...)`. The mask is `(batch, time)`, True where a step counts.

    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0], [0.0, 0.0]]], "float32")
    >>> Masking().compute_mask(x).numpy().tolist()
    [[True, False]]
    """

    OPTIONS = ("mask_value",)

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config") is not None:
            mask_value = mask_value["config"]["value"]  # how files hold a NumPy scalar
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs, mask=None):
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        counts = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)  # (batch, time, 1)
        return ops.multiply(inputs, ops.cast(counts, inputs.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape
