"""Global pooling: one value per channel, over all of time or space."""

from __future__ import annotations

from kcore import ops
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, data_format_of


class BaseGlobalPooling(BuiltinLayer):
    """The maximum or the mean over all axes but the batch and the channels.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.
        keepdims: whether the pooled axes stay, with size 1.
    """

    OPTIONS = ("data_format", "keepdims")
    RANK = 0

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.RANK + 2)
        self.built = True

    @property
    def pooled_axes(self) -> tuple[int, ...]:
        """The axes that are pooled."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.RANK))

    def compute_output_shape(self, input_shape):
        if self.keepdims:
            return tuple(1 if axis in self.pooled_axes else size for axis, size in enumerate(input_shape))
        return tuple(size for axis, size in enumerate(input_shape) if axis not in self.pooled_axes)


class _GlobalMaxPooling(BaseGlobalPooling):
    def call(self, inputs):
        return ops.max(inputs, axis=self.pooled_axes, keepdims=self.keepdims)


class _GlobalAveragePooling(BaseGlobalPooling):
    def call(self, inputs):
        return ops.mean(inputs, axis=self.pooled_axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The maximum over time. Input shape: `(batch, steps, channels)`. Output shape: `(batch, channels)`.

    >>> import numpy as np
    >>> GlobalMaxPooling1D()(np.ones((2, 6, 3), "float32")).shape
    (2, 3)
    """

    RANK = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The maximum over an image. Input shape: `(batch, height, width, channels)`. Output shape: `(batch, channels)`.

    >>> import numpy as np
    >>> GlobalMaxPooling2D(keepdims=True)(np.ones((2, 6, 5, 3), "float32")).shape
    (2, 1, 1, 3)
    """

    RANK = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The maximum over a volume. Input shape: `(batch, depth, height, width, channels)`. Output shape: `(batch, channels)`.

    >>> import numpy as np
    >>> GlobalMaxPooling3D()(np.ones((2, 6, 5, 4, 3), "float32")).shape
    (2, 3)
    """

    RANK = 3


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean over time; masked steps do not count.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, channels)`.

    >>> import numpy as np
    >>> GlobalAveragePooling1D()(np.ones((2, 6, 3), "float32")).shape
    (2, 3)
    """

    RANK = 1

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return super().call(inputs)
        steps = self.pooled_axes[0]
        weights = ops.expand_dims(
            ops.cast(mask, inputs.dtype), axis=3 - steps
        )  # (batch, steps) -> one more axis for the channels
        total = ops.sum(ops.multiply(inputs, weights), axis=steps, keepdims=self.keepdims)
        return ops.divide(total, ops.sum(weights, axis=steps, keepdims=self.keepdims))

    def compute_mask(self, inputs, mask=None):
        return None  # time is gone


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean over an image. Input shape: `(batch, height, width, channels)`. Output shape: `(batch, channels)`.

    >>> import numpy as np
    >>> GlobalAveragePooling2D(keepdims=True)(np.ones((2, 6, 5, 3), "float32")).shape
    (2, 1, 1, 3)
    """

    RANK = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean over a volume. Input shape: `(batch, depth, height, width, channels)`. Output shape: `(batch, channels)`.

    >>> import numpy as np
    >>> GlobalAveragePooling3D()(np.ones((2, 6, 5, 4, 3), "float32")).shape
    (2, 3)
    """

    RANK = 3
