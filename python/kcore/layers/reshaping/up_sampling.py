"""UpSampling: every row, column and plane several times, or an image interpolated."""

from __future__ import annotations

from kcore import ops
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, data_format_of, int_tuple, one_of, positive_int


class UpSampling1D(BuiltinLayer):
    """Every step `size` times.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, steps * size, channels)`.

    >>> import numpy as np
    >>> UpSampling1D(3)(np.ones((2, 4, 5), "float32")).shape
    (2, 12, 5)
    """

    OPTIONS = ("size",)

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int):
            raise TypeError(f"[UpSampling1D] expected size to be an integer, received {size!r}")
        self.size = positive_int(self, "size", size)
        self.input_spec = InputSpec(ndim=3)

    def compute_output_shape(self, input_shape):
        batch, steps, channels = input_shape
        return (batch, None if steps is None else steps * self.size, channels)

    def call(self, inputs):
        return ops.repeat(inputs, self.size, axis=1)


class _UpSampling(BuiltinLayer):
    RANK = 0

    def __init__(self, size, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.size = int_tuple(self, "size", size, self.RANK)
        self.input_spec = InputSpec(ndim=self.RANK + 2)

    @property
    def _first_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape):
        first, sizes = self._first_axis, list(input_shape)
        for axis, factor in enumerate(self.size, first):
            sizes[axis] = None if sizes[axis] is None else sizes[axis] * factor
        return tuple(sizes)

    def call(self, inputs):
        for axis, factor in enumerate(self.size, self._first_axis):
            inputs = ops.repeat(inputs, factor, axis=axis)
        return inputs


class UpSampling2D(_UpSampling):
    """An image enlarged.

    Args:
        size: factors for height and width.
        data_format: `"channels_last"` or `"channels_first"`.
        interpolation: `"nearest"` (repeats rows and columns), `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, height * size[0], width * size[1], channels)`.

    >>> import numpy as np
    >>> UpSampling2D((2, 3), interpolation="bilinear")(np.ones((1, 4, 5, 3), "float32")).shape
    (1, 8, 15, 3)
    """

    OPTIONS = ("size", "data_format", "interpolation")
    RANK = 2

    def __init__(self, size=(2, 2), data_format=None, interpolation="nearest", **kwargs):
        super().__init__(size, data_format, **kwargs)
        modes = ("bicubic", "bilinear", "lanczos3", "lanczos5", "nearest")
        self.interpolation = one_of(self, "interpolation", str(interpolation).lower(), modes)

    def call(self, inputs):
        if self.interpolation == "nearest":
            return super().call(inputs)
        first = self._first_axis
        height, width = self.compute_output_shape(tuple(inputs.shape))[first : first + 2]
        return ops.image.resize(inputs, (height, width), interpolation=self.interpolation, data_format=self.data_format)


class UpSampling3D(_UpSampling):
    """A volume enlarged by repetition.

    Args:
        size: factors for depth, height and width.
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape: `(batch, depth, height, width, channels)`. Output shape: the same, with the sizes multiplied.

    >>> import numpy as np
    >>> UpSampling3D(2)(np.ones((1, 2, 3, 4, 5), "float32")).shape
    (1, 4, 6, 8, 5)
    """

    OPTIONS = ("size", "data_format")
    RANK = 3

    def __init__(self, size=(2, 2, 2), data_format=None, **kwargs):
        super().__init__(size, data_format, **kwargs)
