"""Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: the gradient of a convolution, used as a layer that enlarges."""

from __future__ import annotations

from kcore import ops
from kcore.layers.convolutional.conv import Windowed
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import add_weight, arguments, infer_shape, int_tuple


class BaseConvTranspose(Windowed):
    """A transposed convolution over `rank` axes.

    Args:
        rank: number of axes convolved over.
        filters: number of output channels.
        output_padding: how much is added to the far side of each output axis; None for the usual sizes.
        kernel_size, ...: as in the `Conv` layers.
    """

    OPTIONS = ("filters", "kernel_size", "strides", "padding", "output_padding", "data_format", "dilation_rate")
    OPTIONS += ("activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer")
    OPTIONS += ("bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint")

    def __init__(
        self,
        rank,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_windows(rank, locals())
        self.refuse_strided_dilation()
        if output_padding is not None:
            self.output_padding = int_tuple(self, "output_padding", output_padding, rank, minimum=0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides)):
                raise ValueError(
                    f"[{type(self).__name__}] expected output_padding smaller than strides, "
                    f"received output_padding={output_padding}, strides={self.strides}"
                )

    def _kernel_shape(self, input_shape) -> tuple[int, ...]:
        return (*self.kernel_size, self.filters, self.channels_of(input_shape))

    def build(self, input_shape):
        kernel_shape = self._kernel_shape(input_shape)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self.channel_axis: input_shape[self.channel_axis]})
        self.kernel = add_weight(self, "kernel", kernel_shape)
        self.add_bias(self.filters)
        self.built = True

    def _convolve(self, inputs, kernel):
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def call(self, inputs):
        return self.finish(self._convolve(inputs, self.kernel))

    def compute_output_shape(self, input_shape):
        return infer_shape(self._convolve, input_shape, self._kernel_shape(input_shape))


class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution over time.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, new_steps, filters)`.
    Weights: `kernel (kernel_size, filters, channels)`, `bias (filters,)`.

    >>> import numpy as np
    >>> Conv1DTranspose(4, 3, strides=2)(np.ones((2, 5, 3), "float32")).shape
    (2, 11, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(1, **arguments(locals()))


class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution over an image.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, new_height, new_width, filters)`.
    Weights: `kernel (*kernel_size, filters, channels)`, `bias (filters,)`.

    >>> import numpy as np
    >>> Conv2DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 5, 5, 3), "float32")).shape
    (2, 10, 10, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=(1, 1),
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(2, **arguments(locals()))


class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution over a volume.

    Input shape: `(batch, depth, height, width, channels)`. Output shape: `(batch, new_depth, new_height, new_width,
    filters)`. Weights: `kernel (*kernel_size, filters, channels)`, `bias (filters,)`.

    >>> import numpy as np
    >>> Conv3DTranspose(2, 3, strides=2)(np.ones((1, 2, 2, 2, 3), "float32")).shape
    (1, 5, 5, 5, 2)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        padding="valid",
        data_format=None,
        output_padding=None,
        dilation_rate=(1, 1, 1),
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(3, **arguments(locals()))
