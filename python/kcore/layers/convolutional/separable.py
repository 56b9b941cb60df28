"""SeparableConv1D, SeparableConv2D: a depthwise convolution, then one of size 1 across the channels."""

from __future__ import annotations

from kcore.layers.convolutional.conv import Windowed
from kcore.layers.convolutional.depthwise import depthwise
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import add_weight, arguments, infer_shape
from kcore.ops.conv import fused_conv


class BaseSeparableConv(Windowed):
    """A separable convolution over `rank` axes.

    Args:
        rank: number of axes convolved over.
        depth_multiplier: channels per input channel between the two convolutions.
        filters: number of output channels.
        kernel_size, ...: as in the `Conv` layers.
    """

    OPTIONS = ("depth_multiplier", "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
    OPTIONS += ("activation", "use_bias", "depthwise_initializer", "pointwise_initializer", "bias_initializer")
    OPTIONS += ("depthwise_regularizer", "pointwise_regularizer", "bias_regularizer", "activity_regularizer")
    OPTIONS += ("depthwise_constraint", "pointwise_constraint", "bias_constraint")

    def __init__(
        self,
        rank,
        depth_multiplier,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_windows(rank, locals())

    def _kernel_shapes(self, input_shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        channels = self.channels_of(input_shape)
        depthwise_shape = (*self.kernel_size, channels, self.depth_multiplier)
        return depthwise_shape, (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)

    def build(self, input_shape):
        depthwise_shape, pointwise_shape = self._kernel_shapes(input_shape)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self.channel_axis: input_shape[self.channel_axis]})
        self.depthwise_kernel = add_weight(self, "depthwise_kernel", depthwise_shape, options="depthwise")
        self.pointwise_kernel = add_weight(self, "pointwise_kernel", pointwise_shape, options="pointwise")
        self.add_bias(self.filters)
        self.built = True

    def _convolve(self, inputs, depthwise_kernel, pointwise_kernel, bias=None, activation="linear"):
        outputs = depthwise(self, inputs, depthwise_kernel)
        return fused_conv(outputs, pointwise_kernel, bias, activation, data_format=self.data_format)

    def call(self, inputs):
        return self.fused(self._convolve, inputs, self.depthwise_kernel, self.pointwise_kernel)

    def compute_output_shape(self, input_shape):
        return infer_shape(self._convolve, input_shape, *self._kernel_shapes(input_shape))


class SeparableConv1D(BaseSeparableConv):
    """Separable convolution over time.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, new_steps, filters)`.
    Weights: `depthwise_kernel (kernel_size, channels, depth_multiplier)`,
    `pointwise_kernel (1, channels * depth_multiplier, filters)`, `bias (filters,)`.

    >>> import numpy as np
    >>> SeparableConv1D(4, 3)(np.ones((2, 10, 5), "float32")).shape
    (2, 8, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(1, **arguments(locals()))


class SeparableConv2D(BaseSeparableConv):
    """Separable convolution over an image.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, new_height, new_width, filters)`.
    Weights: `depthwise_kernel (*kernel_size, channels, depth_multiplier)`,
    `pointwise_kernel (1, 1, channels * depth_multiplier, filters)`, `bias (filters,)`.

    >>> import numpy as np
    >>> SeparableConv2D(4, 3)(np.ones((2, 8, 8, 3), "float32")).shape
    (2, 6, 6, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(2, **arguments(locals()))
