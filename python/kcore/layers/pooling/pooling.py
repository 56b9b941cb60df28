"""Max and average pooling over windows of 1, 2 or 3 axes."""

from __future__ import annotations

from kcore import ops
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, data_format_of, infer_shape, int_tuple, padding_of


class BasePooling(BuiltinLayer):
    """The maximum or the mean of every window.

    Args:
        pool_size: size of the window: one integer, or one per axis.
        strides: steps between windows; None for `pool_size`.
        padding: `"valid"`, or `"same"` (the padding counts neither in the maximum nor in the mean).
        data_format: `"channels_last"` or `"channels_first"`.
    """

    OPTIONS = ("pool_size", "padding", "strides", "data_format")
    RANK = 0

    def __init__(self, pool_size, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.pool_size = int_tuple(self, "pool_size", pool_size, self.RANK)
        self.strides = self.pool_size if strides is None else int_tuple(self, "strides", strides, self.RANK)
        self.padding = padding_of(self, padding)
        self.data_format = data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.RANK + 2)
        self.built = True

    def pool(self, op, inputs):
        """`op` over this layer's windows."""
        return op(inputs, self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format)

    def compute_output_shape(self, input_shape):
        return infer_shape(self.call, input_shape)


class _MaxPooling(BasePooling):
    def call(self, inputs):
        return self.pool(ops.max_pool, inputs)


class _AveragePooling(BasePooling):
    def call(self, inputs):
        return self.pool(ops.average_pool, inputs)


class MaxPooling1D(_MaxPooling):
    """The maximum of every window over time. Input shape: `(batch, steps, channels)`. See `BasePooling`.

    >>> import numpy as np
    >>> MaxPooling1D(2)(np.ones((2, 6, 3), "float32")).shape
    (2, 3, 3)
    """

    RANK = 1

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(_MaxPooling):
    """The maximum of every window of an image. Input shape: `(batch, height, width, channels)`. See `BasePooling`.

    >>> import numpy as np
    >>> MaxPooling2D()(np.ones((2, 6, 7, 3), "float32")).shape
    (2, 3, 3, 3)
    """

    RANK = 2

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling3D(_MaxPooling):
    """The maximum of every window of a volume. Input shape: `(batch, depth, height, width, channels)`. See `BasePooling`.

    >>> import numpy as np
    >>> MaxPooling3D()(np.ones((2, 4, 6, 7, 3), "float32")).shape
    (2, 2, 3, 3, 3)
    """

    RANK = 3

    def __init__(self, pool_size=(2, 2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(_AveragePooling):
    """The mean of every window over time. Input shape: `(batch, steps, channels)`. See `BasePooling`.

    >>> import numpy as np
    >>> AveragePooling1D(2)(np.ones((2, 6, 3), "float32")).shape
    (2, 3, 3)
    """

    RANK = 1


class AveragePooling2D(_AveragePooling):
    """The mean of every window of an image. Input shape: `(batch, height, width, channels)`. See `BasePooling`.

    >>> import numpy as np
    >>> AveragePooling2D(2, strides=1)(np.ones((2, 6, 7, 3), "float32")).shape
    (2, 5, 6, 3)
    """

    RANK = 2


class AveragePooling3D(_AveragePooling):
    """The mean of every window of a volume. Input shape: `(batch, depth, height, width, channels)`. See `BasePooling`.

    >>> import numpy as np
    >>> AveragePooling3D(2)(np.ones((2, 4, 6, 7, 3), "float32")).shape
    (2, 2, 3, 3, 3)
    """

    RANK = 3
